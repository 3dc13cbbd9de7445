"""Handing in prompts."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompted import node, post, star
from served import ANNA, BERT, clients
from yarl import URL

from limner.engine.errors import StoreError
from limner.server import body as bodies
from limner.server.limits import Limits

WORKFLOW = {"extra_pnginfo": {"workflow": {"id": "w-1", "nodes": []}}}


@pytest.mark.parametrize("path", ["/prompt", "/api/prompt"])
def test_a_prompt_becomes_a_job_like_any_other(serving: Any, path: str) -> None:
    """It is known by a UUID, its graph is in the format of graph files, and its client's own is kept with it."""

    async def use(api: Any) -> None:
        answer = await post(api, {"prompt": star(), "client_id": "me", "extra_data": WORKFLOW}, path)
        assert answer.status == 200
        assert answer.json["node_errors"] == {}
        job = await api.ask("GET", f"/v1/jobs/{UUID(answer.json['prompt_id']).hex}")
        assert job.json["state"] == "pending"
        graph = (await api.ask("GET", f"/v1/jobs/{job.json['id']}/graph")).json
        assert graph["nodes"]["12-x3a-3"]["wires"]["conditioning"] == "2"
        kept = api.service.store.history.notes(job.json["id"])["comfy"]
        assert (kept["prompt"], kept["client_id"], kept["extra_data"]) == (star(), "me", WORKFLOW)
        assert kept["outputs"] == ["9"]
        assert api.crew.asked == 1
        assert (await api.ask("GET", path)).json == {"exec_info": {"queue_remaining": 1}}

    serving(use)


def test_the_graph_has_the_places_of_its_nodes(serving: Any) -> None:
    """Where the editor showed them, also inside of a subgraph; so a picture opens as it was composed."""
    inner = {"id": "s", "name": "sub", "nodes": [{"id": 3, "type": "Denoise", "pos": [5, 5]}], "links": []}
    nodes = [{"id": 1, "type": "LoadModel", "pos": [10, 20]}, {"id": 9, "type": "LimnerSaveImage", "pos": [110, 50.5]}]
    workflow = {"nodes": [*nodes, {"id": 12, "type": "s", "pos": [0, 0]}], "definitions": {"subgraphs": [inner]}}

    async def use(api: Any) -> None:
        for sent in (workflow, {"nodes": [1, None]}, "x", None):
            extra = {"extra_pnginfo": {"workflow": sent}}
            assert (await post(api, {"prompt": star(), "extra_data": extra})).status == 200
        jobs = api.service.store.history.page().jobs
        layouts = [json.loads(api.service.store.history.graph(job.id)).get("layout", {}) for job in jobs]
        assert layouts[:3] == [{}, {}, {}]
        places = layouts[3]["positions"]
        assert (places["1"], places["9"], set(places)) == ([10, 20], [110, 50.5], {"1", "9", "12-x3a-3"})

    serving(use)


def test_a_clients_own_id_is_told(serving: Any) -> None:
    """And what it sends for services of others is kept nowhere."""

    async def use(api: Any) -> None:
        own = str(uuid4())
        secrets = {"api_key_comfy_org": "k", "auth_token_comfy_org": "t", "x": 1}
        answer = await post(api, {"prompt": star(), "prompt_id": own, "number": 7.5, "extra_data": secrets})
        assert (answer.json["prompt_id"], answer.json["number"]) == (own, 7.5)
        (job,) = api.service.store.history.page().jobs
        assert api.service.store.history.notes(job.id)["comfy"]["extra_data"] == {"x": 1}
        assert api.service.store.search.labels([job.id])[job.id]["prompt"] == own

    serving(use)


@pytest.mark.parametrize("own", ["a/b c", "..", "?x#y", "\u2603", "%2e", "\n", " "])
def test_any_text_is_an_id(serving: Any, own: str) -> None:
    """A job is found by the id that its client chose, whatever stands in it."""

    async def use(api: Any) -> None:
        assert (await post(api, {"prompt": star(), "prompt_id": own})).json["prompt_id"] == own
        place = URL(f"{api.url}/jobs/{quote(own, safe='')}", encoded=True)
        async with api.session.get(place) as response:
            assert (await response.json())["id"] == own

    serving(use)


def test_a_prompt_may_go_to_the_front(serving: Any) -> None:
    """Before the others of its client: with front, or with a number below all."""

    async def use(api: Any) -> None:
        ids = {}
        bodies = {"first": {}, "second": {}, "urgent": {"front": True}, "more": {"number": -1000}}
        for name, extra in bodies.items():
            answer = await post(api, {"prompt": star(), **extra})
            ids[UUID(answer.json["prompt_id"]).hex] = name
            assert (answer.json["number"] < 0) is (name in ("urgent", "more"))
        assert [ids[api.claim().job_id] for _ in ids] == ["more", "urgent", "first", "second"]

    serving(use)


def test_some_outputs_can_be_asked_for(serving: Any) -> None:
    """Only what they need is run."""

    async def use(api: Any) -> None:
        body = {"prompt": star(**{"10": node("PreviewImage", images=["4", 0])}), "partial_execution_targets": ["10"]}
        assert (await post(api, body)).status == 200
        (job,) = api.service.store.history.page().jobs
        nodes = json.loads(api.service.store.history.graph(job.id))["nodes"]
        assert set(nodes) == {"1", "2", "12-x3a-3", "4", "10"}

    serving(use)


def test_every_fault_is_said_and_nothing_is_queued(serving: Any) -> None:
    """Also what lies outside of the nodes that are checked first: paths, disks, files."""

    async def use(api: Any) -> None:
        wrong = star(
            **{
                "1": node("LoadModel", source="/etc"),
                "12:3": node("Denoise", transformer=["1", 1], conditioning=["1", 0], steps=0.5),
                "9": node("LimnerSaveImage", images=["4", 0], path="../../x.png"),
                "20": node("NoSuch"),
            }
        )
        answer = await post(api, {"prompt": wrong})
        assert answer.status == 400
        kinds = {name: {one["type"] for one in found["errors"]} for name, found in answer.json["node_errors"].items()}
        assert kinds["12:3"] == {"return_type_mismatch", "invalid_input_type"}
        assert kinds["20"] == {"missing_node_type"}
        assert kinds["1"] == {"custom_validation_failed"}
        assert answer.json["error"]["type"] == "missing_node_type"
        outside = await post(api, {"prompt": star(**{"9": wrong["9"]})})
        assert "outside" in outside.json["node_errors"]["9"]["errors"][0]["details"]
        disk = '{"mode": "group", "disk": "x"}'
        stored = star(**{"12:3": node("Denoise", transformer=["1", 1], conditioning=["2", 0], offload=disk)})
        found = (await post(api, {"prompt": stored})).json["node_errors"]["12:3"]["errors"][0]
        assert found["extra_info"]["input_name"] == "offload"
        assert api.service.store.history.page().jobs == ()

    serving(use)


def test_a_device_that_is_not_here_is_refused(serving: Any) -> None:
    """At its node, before anything is queued; where other machines run the jobs, they say what they have."""

    async def use(api: Any) -> None:
        wrong = star(**{"2": node("TextEncode", text_encoder=["1", 0], prompt="a star", device="cuda:77")})
        answer = await post(api, {"prompt": wrong})
        assert answer.status == 400
        (error,) = answer.json["node_errors"]["2"]["errors"]
        assert error["details"].startswith("device: this machine has no cuda:77 (it has ")
        assert error["extra_info"]["input_name"] == "device"
        api.service.comfy.runs_here = False
        assert (await post(api, {"prompt": wrong})).status == 200

    serving(use)


@pytest.mark.parametrize("class_type", ["ComfySaveImage", "Graph", "", "Denoise\r\nX: 1"])
def test_names_of_ours_are_no_classes(serving: Any, class_type: str) -> None:
    """What only a graph file may say is unknown here, and that is all that is wrong with it."""

    async def use(api: Any) -> None:
        answer = await post(api, {"prompt": star(**{"1": node(class_type, graph="text_to_image")})})
        kinds = {name: [one["type"] for one in found["errors"]] for name, found in answer.json["node_errors"].items()}
        assert kinds == {"1": ["missing_node_type"]}

    serving(use)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "no_prompt"),
        ({"prompt": None}, "no_prompt"),
        ({"prompt": []}, "no_prompt"),
        ({"prompt": {}}, "prompt_no_outputs"),
        ({"prompt": {"1": node("LoadModel")}}, "prompt_no_outputs"),
        ({"prompt": star(), "number": "x"}, "invalid_prompt"),
        ({"prompt": star(), "extra_data": 1}, "invalid_prompt"),
        ({"prompt": star(), "prompt_id": "x" * 201}, "invalid_prompt"),
        ({"prompt": star(), "partial_execution_targets": [3]}, "invalid_prompt"),
        ({"prompt": star(), "partial_execution_targets": ["77"]}, "prompt_outputs_failed_validation"),
        ([], "invalid_prompt"),
        ("x", "invalid_prompt"),
        (b"{", "invalid_prompt"),
        (b'{"prompt": NaN}', "invalid_prompt"),
        (b'{"prompt": {"1": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "invalid_prompt"),
        (b'{"number": ' + b"9" * 5000 + b"}", "invalid_prompt"),
        (b"\xff\xfe", "invalid_prompt"),
        (b'{"prompt": {"\\ud800": {}}}', "invalid_prompt"),
    ],
)
def test_what_is_no_prompt_is_refused_in_the_same_form(serving: Any, body: Any, kind: str) -> None:
    """With 400 and a type, whatever it is."""

    async def use(api: Any) -> None:
        answer = await post(api, body)
        assert (answer.status, answer.json["error"]["type"]) == (400, kind)

    serving(use)


def test_limits_hold_for_prompts_too(serving: Any) -> None:
    """Of nodes, and of jobs that wait."""

    async def use(api: Any) -> None:
        large = {str(number): node("LoadModel") for number in range(11)}
        assert (await post(api, {"prompt": large})).status == 413
        assert (await post(api, {"prompt": star()})).status == 200
        answer = await post(api, {"prompt": star()})
        assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
        assert answer.json["error"]["type"] == "refused"

    serving(use, limits=Limits(nodes=10, waiting=1))


@pytest.mark.parametrize(
    ("error", "status"),
    [(OSError(errno.ENOSPC, "full"), 507), (StoreError("locked"), 503), (RuntimeError("secret"), 500)],
)
def test_failures_are_said_in_the_same_form(
    serving: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """A full disk, a store that cannot be used, and what nobody foresaw: clients read nothing but this form."""

    async def use(api: Any) -> None:
        def fail(new: Any) -> None:
            raise error

        monkeypatch.setattr(api.service.store.queue, "accept", fail)
        answer = await post(api, {"prompt": star()})
        assert (answer.status, answer.json["error"]["type"], answer.json["node_errors"]) == (status, "failed", {})
        assert "secret" not in answer.json["error"]["message"]

    serving(use)


def test_small_prompts_wait_for_no_large_ones(serving: Any) -> None:
    """However slowly others send theirs."""

    async def use(api: Any) -> None:
        while not api.service.large.locked():
            await api.service.large.acquire()
        async with asyncio.timeout(20):
            assert (await post(api, {"prompt": star()})).status == 200
            assert (await api.ask("POST", "/interrupt", {})).status == 200

    serving(use)


def test_large_prompts_are_read_in_a_thread(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that others are answered meanwhile."""
    places: list[threading.Thread] = []
    parse = bodies.parse_json
    monkeypatch.setattr(bodies, "parse_json", lambda said: (places.append(threading.current_thread()), parse(said))[1])

    async def use(api: Any) -> None:
        assert (await post(api, {"prompt": star(), "extra_data": {"x": "y" * 300_000}})).status == 200
        assert places == [one for one in places if one is not threading.current_thread()] != []

    serving(use)


def test_tokens_and_origins_are_asked_for(serving: Any) -> None:
    """A stranger, a page of others and a browser that says so are refused, at both paths."""

    async def use(api: Any) -> None:
        for path in ("/prompt", "/api/prompt", "/object_info", "/api/settings", "/userdata?dir=x", "/view?filename=x"):
            method = "POST" if path.endswith("/prompt") else "GET"
            assert (await api.ask(method, path)).status == 401
        api.token = ANNA
        assert (await api.ask("POST", "/prompt", {}, headers={"Origin": "https://evil.test"})).status == 403
        assert (await post(api, {"prompt": star()}, **{"Sec-Fetch-Site": "cross-site"})).status == 403
        assert (await post(api, {"prompt": star()}, **{"Sec-Fetch-Site": "same-origin"})).status == 200

    serving(use, clients=clients(), is_local=False)


def test_what_pythons_urllib_sends_is_taken(serving: Any) -> None:
    """ComfyUI's own example calls its JSON a form."""

    async def use(api: Any) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await post(api, {"prompt": star()}, **form)).status == 200

    serving(use)


def test_pictures_of_others_are_not_found(serving: Any) -> None:
    """A client's names are its own."""

    async def use(api: Any) -> None:
        taken = api.service.uploads.put(PNG)
        api.service.comfy.pictures(clients().find(ANNA)).put("mine.png", taken, overwrite=True)
        prompt = {"1": node("LimnerLoadImage", file="mine.png"), "2": node("PreviewImage", images=["1", 0])}
        api.token = BERT
        answer = await post(api, {"prompt": prompt})
        assert answer.json["node_errors"]["1"]["errors"][0]["extra_info"]["input_name"] == "file"
        api.token = ANNA
        assert (await post(api, {"prompt": prompt})).status == 200
        (job,) = api.service.store.history.page().jobs
        assert json.loads(api.service.store.history.graph(job.id))["nodes"]["1"]["settings"]["file"] == taken.file

    serving(use, clients=clients(), is_local=False)


def _png() -> bytes:
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "PNG")
    return out.getvalue()


PNG = _png()

NASTY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NODE = st.fixed_dictionaries(
    {
        "class_type": st.sampled_from(["Denoise", "LoadModel", "LimnerSaveImage", "LoadReferenceImages", "x"]) | NASTY,
        "inputs": st.dictionaries(
            st.sampled_from(["images", "images.image0", "steps", "source", "path", "device", "offload", "files"]),
            NASTY | st.sampled_from([["1", 0], ["1", 1], ["2", 0]]),
            max_size=4,
        ),
    }
)
BODY = NASTY | st.fixed_dictionaries(
    {"prompt": st.dictionaries(st.sampled_from(["1", "2", "3:4", ""]), NODE | NASTY, max_size=3)},
    optional=dict.fromkeys(("client_id", "prompt_id", "number", "front", "extra_data"), NASTY)
    | {"partial_execution_targets": NASTY},
)


def test_no_prompt_is_a_500(serving: Any) -> None:
    """Whatever is in it."""

    async def use(api: Any) -> None:
        loop = asyncio.get_running_loop()

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(BODY)
        def ask(body: Any) -> None:
            answer = asyncio.run_coroutine_threadsafe(post(api, body), loop).result(30)
            assert answer.status in (200, 400), answer.body

        await asyncio.to_thread(ask)

    serving(use)
