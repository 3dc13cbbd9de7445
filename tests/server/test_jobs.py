"""Jobs over HTTP: handed in, listed, steered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from served import ANNA, BERT, ROOT, clients

from limner.server.limits import Limits


def test_a_job_is_handed_in_and_found(serving: Any) -> None:
    """A job is there, with its template and parameters, as soon as it is accepted; and workers are asked for."""

    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/jobs", {"template": "text_to_image", "parameters": {"seed": 3}})
        job = answer.json
        assert (answer.status, job["state"], api.crew.asked) == (201, "pending", 1)
        assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
        detail = (await api.ask("GET", answer.headers["Location"])).json
        assert (detail["template"], detail["parameters"]) == ("text_to_image", {"seed": 3})
        graph = (await api.ask("GET", f"/v1/jobs/{job['id']}/graph")).json
        assert graph["nodes"]["denoise"]["settings"]["seed"] == 3

    serving(use)


def test_a_graph_is_checked_at_once(serving: Any) -> None:
    """Every fault of a graph and of the values is said, each at its place, and nothing is queued."""

    async def use(api: Any) -> None:
        graph = {"limner": 1, "nodes": {"a": {"type": "Denose"}, "b": {"type": "Integer", "settings": {"value": "x"}}}}
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph, "parameters": {"sed": 1}})
        assert answer.status == 422
        assert answer.faults == ["parameters.sed", "nodes.a.type", "nodes.b.settings.value"]
        assert answer.json["faults"][1]["hint"].startswith("did you mean Denoise?")
        assert (await api.ask("GET", "/v1/jobs")).json == {"jobs": []}
        verdict = (await api.ask("POST", "/v1/validate", {"graph": graph})).json
        assert (verdict["is_right"], len(verdict["faults"])) == (False, 2)

    serving(use)


def test_a_key_is_one_job(serving: Any) -> None:
    """The same Idempotency-Key is the same job, and no other graph."""

    async def use(api: Any) -> None:
        headers = {"Idempotency-Key": "k1"}
        first, second = await api.submit(headers=headers), await api.submit(headers=headers)
        assert first == second
        other = await api.ask("POST", "/v1/jobs", {"template": "text_to_image"}, headers=headers)
        assert other.status == 422
        assert len((await api.ask("GET", "/v1/jobs")).json["jobs"]) == 1

    serving(use)


def test_lists_come_in_pages(serving: Any) -> None:
    """Following ``next`` gives every job once, the newest first."""

    async def use(api: Any) -> None:
        made = [await api.submit() for _ in range(5)]
        found: list[str] = []
        after = ""
        while True:
            page = (await api.ask("GET", f"/v1/jobs?limit=2{after}")).json
            found += [job["id"] for job in page["jobs"]]
            if "next" not in page:
                break
            after = f"&after={page['next']}"
        assert found == made[::-1]
        queue = (await api.ask("GET", "/v1/queue")).json
        assert [job["id"] for job in queue["jobs"]] == made
        assert not queue["is_paused"]

    serving(use)


def test_jobs_are_steered(serving: Any) -> None:
    """Cancel, pause, resume, retry, move and priority do what they say; what a state forbids is a conflict."""

    async def use(api: Any) -> None:
        first, second = await api.submit(), await api.submit()
        moved = await api.ask("POST", f"/v1/jobs/{second}/move", {"index": 0})
        assert moved.status == 200
        assert [job["id"] for job in (await api.ask("GET", "/v1/queue")).json["jobs"]] == [second, first]
        assert (await api.ask("POST", f"/v1/jobs/{first}/priority", {"priority": 5})).json["priority"] == 5
        assert (await api.ask("POST", f"/v1/jobs/{first}/pause")).json["is_paused"]
        assert not (await api.ask("POST", f"/v1/jobs/{first}/resume")).json["is_paused"]
        assert (await api.ask("POST", f"/v1/jobs/{first}/cancel")).json["state"] == "cancelled"
        assert (await api.ask("POST", f"/v1/jobs/{first}/pause")).status == 409
        assert (await api.ask("POST", f"/v1/jobs/{first}/retry")).json["state"] == "pending"
        assert (await api.ask("POST", "/v1/queue/pause")).status == 204
        assert (await api.ask("GET", "/v1/queue")).json["is_paused"]
        assert (await api.ask("POST", "/v1/queue/resume")).status == 204

    serving(use)


def test_a_request_hands_its_trace_on(serving: Any) -> None:
    """The job knows the span that it came from; a header that names none is passed over."""

    async def use(api: Any) -> None:
        span = f"00-{7:032x}-{8:016x}-01"
        for path, body in (("/v1/jobs", {"template": "text_to_image"}), ("/v1/run/text_to_image", {})):
            for said, kept in ((span, span), ("nonsense", None)):
                answer = await api.ask("POST", path, body, headers={"traceparent": said})
                assert api.service.store.history.notes(answer.json["id"]).get("traceparent") == kept

    serving(use)


def test_a_list_can_be_of_one_client(serving: Any) -> None:
    """An admin narrows lists to those of one client; another client may only name itself."""

    async def use(api: Any) -> None:
        ids = {}
        for api.token in (ANNA, BERT):
            ids[api.token] = await api.submit()
        for path in ("/v1/jobs", "/v1/queue"):
            for api.token, whose, found in ((ROOT, "anna", ANNA), (ROOT, "bert", BERT), (BERT, "bert", BERT)):
                jobs = (await api.ask("GET", f"{path}?client={whose}")).json["jobs"]
                assert [job["id"] for job in jobs] == [ids[found]]
            for whose in ("anna", "nobody"):
                assert (await api.ask("GET", f"{path}?client={whose}")).status == 403

    serving(use, clients=clients())


def test_others_see_nothing(serving: Any) -> None:
    """Another client's job looks like one that does not exist, in every route; an admin sees it."""

    async def use(api: Any) -> None:
        api.token = ANNA
        job = await api.submit()
        digest = api.finish(api.claim())
        routes = [("GET", f"/v1/jobs/{job}{part}") for part in ("", "/graph", "/events")]
        routes += [("POST", f"/v1/jobs/{job}/{verb}") for verb in ("cancel", "pause", "resume", "retry")]
        api.token = BERT
        for method, path in [*routes, ("GET", f"/v1/artifacts/{digest}")]:
            theirs = await api.ask(method, path)
            nobodys = await api.ask(method, path.replace(job, "0" * 32).replace(digest, "0" * 64))
            assert theirs.status == nobodys.status == 404
            assert theirs.json["detail"].replace(job, "").replace(digest, "") == nobodys.json["detail"].replace(
                "0" * 64, ""
            ).replace("0" * 32, "")
        assert (await api.ask("GET", "/v1/jobs")).json == {"jobs": []}
        api.token = ROOT
        assert (await api.ask("GET", f"/v1/jobs/{job}")).json["client"] == "anna"
        assert (await api.ask("GET", f"/v1/artifacts/{digest}")).status == 200

    serving(use, clients=clients())


def test_rights(serving: Any) -> None:
    """Without a right token nothing is answered; what concerns all needs the right admin."""

    async def use(api: Any) -> None:
        for token in (None, "wrong", ANNA + "x", ANNA[:-1], ""):
            api.token = token
            for path in ("/v1/jobs", "/v1/nodes", "/metrics", "/openapi.json", "/nothing"):
                answer = await api.ask("GET", path)
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await api.ask("GET", "/healthz")).status == 200
        assert (await api.ask("GET", "/readyz")).status == 200
        api.token = ANNA
        assert (await api.ask("POST", "/v1/queue/pause")).status == 403
        assert (await api.ask("GET", "/metrics")).status == 403
        assert (await api.ask("POST", "/v1/jobs", {"template": "text_to_image", "priority": 1})).status == 403
        api.token = ROOT
        assert (await api.ask("GET", "/metrics")).status == 200

    serving(use, clients=clients())


def test_limits(serving: Any) -> None:
    """More jobs of a client than may wait, and more nodes than may be in a graph, are refused."""

    async def use(api: Any) -> None:
        await api.submit()
        answer = await api.ask("POST", "/v1/jobs", {"template": "text_to_image"})
        assert (answer.status, "1 jobs" in answer.json["detail"]) == (429, True)
        nodes = {f"n{i}": {"type": "Integer"} for i in range(6)}
        assert (await api.ask("POST", "/v1/validate", {"graph": {"limner": 1, "nodes": nodes}})).status == 413

    serving(use, limits=Limits(waiting=1, nodes=5))


def test_a_large_graph_is_accepted(serving: Any) -> None:
    """5,000 nodes are checked and queued, and status is answered meanwhile."""

    async def use(api: Any) -> None:
        nodes: dict[str, Any] = {"n0": {"type": "Integer"}}
        nodes |= {f"n{i}": {"type": "Integer", "wires": {"value": f"n{i - 1}"}} for i in range(1, 5000)}
        asked = asyncio.ensure_future(api.ask("POST", "/v1/jobs", {"graph": {"limner": 1, "nodes": nodes}}))
        assert (await api.ask("GET", "/v1/jobs")).status == 200
        assert not asked.done()
        assert (await asked).status == 201

    serving(use)


def test_metrics_count(serving: Any) -> None:
    """Requests are counted by route, and jobs by state; nothing that a client made up becomes a name."""

    async def use(api: Any) -> None:
        job = await api.submit()
        await api.ask("GET", f"/v1/jobs/{job}")
        await api.ask("GET", "/made-up")
        text = (await api.ask("GET", "/metrics")).body.decode()
        assert 'limner_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 1' in text
        assert 'limner_requests_total{method="GET",route="other",status="404"} 1' in text
        assert 'limner_jobs{state="pending"} 1' in text

    serving(use)


def test_nodes_templates_and_plans(serving: Any) -> None:
    """What graphs are made of is told, each template can run, and a plan says what it takes."""

    async def use(api: Any) -> None:
        names = [node["name"] for node in (await api.ask("GET", "/v1/nodes")).json["nodes"]]
        assert {"Denoise", "SaveImage"} <= set(names)
        assert (await api.ask("GET", "/v1/nodes/Denoise")).json["settings"]["steps"]
        assert (await api.ask("GET", "/v1/nodes/Denose")).json["hint"] == "did you mean Denoise?"
        one = (await api.ask("GET", "/v1/templates/text_to_image")).json
        assert one["parameters"]["prompt"]["type"] == "string"
        assert json.dumps(one["graph"])
        plan = (await api.ask("POST", "/v1/plan", {"template": "text_to_image"})).json
        assert plan["memory"]["fits"]

    serving(use)
