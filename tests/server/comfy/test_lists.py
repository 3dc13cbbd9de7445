"""The queue, the history and the editor's list of jobs say what the store says, in the protocol's shapes."""

from __future__ import annotations

from typing import Any

import pytest
from queued import PROMPT, accept
from served import ANNA, BERT, clients

from limner.server.comfy.kept import prompt_id
from limner.server.jobs.job import Artifact, NodeRun
from limner.server.jobs.leases import Ending

WORKFLOW = {"extra_pnginfo": {"workflow": {"id": "flow", "nodes": []}}}


def test_the_queue_lists_what_runs_and_what_waits(serving: Any) -> None:
    """Number, id, prompt, extra data and outputs of each, as they were handed in, in order; at both paths."""

    async def use(api: Any) -> None:
        jobs = [await accept(api, number=number, extra_data=WORKFLOW) for number in range(3)]
        api.claim()
        found = (await api.ask("GET", "/queue")).json
        assert [item[0] for item in found["queue_running"]] == [0]
        assert [item[1] for item in found["queue_pending"]] == [prompt_id(job.id, {}) for job in jobs[1:]]
        number, own, prompt, extra, outputs = found["queue_pending"][0]
        assert (number, own, prompt, outputs) == (1, prompt_id(jobs[1].id, {}), PROMPT, ["1"])
        assert extra == WORKFLOW | {"client_id": "me", "create_time": int(jobs[1].created * 1000)}
        assert (await api.ask("GET", "/api/queue")).json == found

    serving(use)


def test_the_history_is_read_in_parts(serving: Any) -> None:
    """The latest, the oldest last to first as clients ask for them; a job that has not ended is not in it."""

    async def use(api: Any) -> None:
        for number in range(5):
            await accept(api, prompt_id=f"p{number}")
            api.finish(api.claim())
        await accept(api, prompt_id="waiting")
        assert list((await api.ask("GET", "/history")).json) == ["p0", "p1", "p2", "p3", "p4"]
        assert list((await api.ask("GET", "/history?max_items=2")).json) == ["p3", "p4"]
        assert list((await api.ask("GET", "/history?max_items=2&offset=1")).json) == ["p1", "p2"]
        assert (await api.ask("GET", "/history?max_items=0")).json == {}
        assert (await api.ask("GET", "/history/waiting")).json == {}
        assert (await api.ask("GET", "/history/unknown")).json == {}
        assert (await api.ask("GET", "/history?max_items=-1")).status == 422

    serving(use)


def test_the_last_to_end_is_the_latest(serving: Any) -> None:
    """Scripts ask for one entry of the history after a job: the one that ended last, whenever it was handed in."""

    async def use(api: Any) -> None:
        early, late = await accept(api, prompt_id="early"), await accept(api, prompt_id="late")
        api.service.store.queue.move(late.id, 0)
        for job in (late, early):
            claim = api.claim()
            assert claim.job_id == job.id
            api.finish(claim)
        assert list((await api.ask("GET", "/history?max_items=1")).json) == ["early"]
        assert list((await api.ask("GET", "/history?max_items=1&offset=0")).json) == ["late"]

    serving(use)


def test_an_answer_holds_so_much(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of lists that are too large only the latest jobs are told whole, all the same every job; one always is."""

    async def use(api: Any) -> None:
        for number in range(4):
            await accept(api, prompt_id=f"p{number}", extra_data={"x": "x" * 1000})
            api.finish(api.claim())
        for most, whole in ((4000, ["p1", "p2", "p3"]), (10, ["p3"])):
            monkeypatch.setattr("limner.server.comfy.entries.MAX_TOLD", most)
            found = (await api.ask("GET", "/history")).json
            assert list(found) == ["p0", "p1", "p2", "p3"]
            assert [name for name, entry in found.items() if entry["prompt"][2] == PROMPT] == whole
            assert all(entry["outputs"] for entry in found.values())
            assert (await api.ask("GET", "/history/p0")).json["p0"]["prompt"][2] == PROMPT

    serving(use)


def test_the_history_says_what_was_made(serving: Any) -> None:
    """Pictures by the client's ids, texts that nobody took, and the messages that the socket said."""

    async def use(api: Any) -> None:
        await accept(api, prompt_id="p")
        claim, blobs = api.claim(), api.service.store.blobs
        found = [
            Artifact("out/a.png", blobs.put(b"a"), 1, "12-x3a-3"),
            Artifact("9.png", blobs.put(b"b"), 1, "9"),
            Artifact("values.json", blobs.put(b'{"7": {"text": "hello"}}'), 1, None),
        ]
        api.service.store.leases.finish(claim, Ending("completed", artifacts=found))
        entry = (await api.ask("GET", "/history/p")).json["p"]
        own = f"{claim.job_id}"
        assert entry["outputs"] == {
            "9": {"images": [{"filename": "9.png", "subfolder": own, "type": "temp"}]},
            "12:3": {"images": [{"filename": "a.png", "subfolder": f"{own}/out", "type": "output"}]},
            "7": {"text": ["hello"]},
        }
        assert entry["meta"]["12:3"] == {
            "node_id": "12:3",
            "display_node": "12:3",
            "parent_node": None,
            "real_node_id": "12:3",
        }
        assert [kind for kind, _ in entry["status"]["messages"]] == ["execution_start", "execution_success"]
        assert entry["prompt"][1:3] == ["p", PROMPT]

    serving(use)


def test_a_failure_is_in_the_lists(serving: Any) -> None:
    """Which node, of which class, what was wrong and what to try; and nothing of what led to it inside."""

    async def use(api: Any) -> None:
        await accept(api, prompt_id="p")
        claim = api.claim()
        fault = {"message": "too large", "path": ["nodes", "4"], "error": "InputError"}
        node = NodeRun("4", "failed", type="Denoise", message="too large")
        ending = Ending("failed", "too large", "make it smaller", [fault])
        api.service.store.leases.finish(claim, ending, nodes=[node])
        kind, said = (await api.ask("GET", "/history/p")).json["p"]["status"]["messages"][-1]
        assert kind == "execution_error"
        assert (said["node_id"], said["node_type"], said["traceback"]) == ("4", "Denoise", [])
        assert said["exception_message"] == "too large\nmake it smaller"
        listed = (await api.ask("GET", "/api/jobs")).json["jobs"][0]
        assert listed["status"] == "failed"
        assert listed["execution_error"]["node_id"] == "4"

    serving(use)


def test_what_is_taken_off_the_history_is_kept(serving: Any) -> None:
    """Deleting takes jobs off the protocol's lists; the jobs and their files stay where they are."""

    async def use(api: Any) -> None:
        for name in ("a", "b", "c"):
            job = await accept(api, prompt_id=name)
            digest = api.finish(api.claim())
        await api.ask("POST", "/history", {"delete": ["a", "unknown"]})
        assert list((await api.ask("GET", "/history")).json) == ["b", "c"]
        await api.ask("POST", "/api/history", {"clear": True})
        for path in ("/history", "/history/c", f"/history/{prompt_id(job.id, {})}"):
            assert (await api.ask("GET", path)).json == {}
        assert (await api.ask("GET", "/jobs")).json["pagination"]["total"] == 0
        assert (await api.ask("GET", f"/v1/jobs/{job.id}")).json["state"] == "completed"
        assert (await api.ask("GET", f"/v1/artifacts/{digest}")).body == b"a picture"

    serving(use)


def test_the_editors_list_is_paged_and_sorted(serving: Any) -> None:
    """By state and workflow, in either order, from any entry on, with how many there are in all."""

    async def use(api: Any) -> None:
        ended = await accept(api, extra_data=WORKFLOW)
        api.finish(api.claim())
        waiting = [await accept(api) for _ in range(3)]
        ids = [prompt_id(job.id, {}) for job in (ended, *waiting)]
        page = (await api.ask("GET", "/api/jobs?limit=2&offset=1")).json
        assert [job["id"] for job in page["jobs"]] == [ids[2], ids[1]]
        assert page["pagination"] == {"offset": 1, "limit": 2, "total": 4, "has_more": True}
        found = (await api.ask("GET", "/jobs?status=completed,failed&sort_by=execution_duration")).json["jobs"]
        assert [job["id"] for job in found] == ids[:1]
        assert found[0]["preview_output"]["filename"] == "image.png"
        assert found[0]["preview_output"]["nodeId"] == "save"
        assert (found[0]["outputs_count"], found[0]["workflow_id"]) == (1, "flow")
        found = (await api.ask("GET", "/jobs?workflow_id=flow&sort_order=asc")).json["jobs"]
        assert [job["id"] for job in found] == ids[:1]
        assert (await api.ask("GET", "/jobs?status=running,pending")).json["pagination"]["total"] == 3
        assert (await api.ask("GET", "/jobs?status=running")).status == 400
        assert (await api.ask("GET", "/jobs?sort_by=size")).status == 422

    serving(use)


def test_a_job_is_shown_whole(serving: Any) -> None:
    """With what was handed in and what its nodes show; an unknown one is a 404."""

    async def use(api: Any) -> None:
        job = await accept(api, extra_data=WORKFLOW)
        api.finish(api.claim())
        found = (await api.ask("GET", f"/api/jobs/{prompt_id(job.id, {})}")).json
        assert found["workflow"] == {"prompt": PROMPT, "extra_data": WORKFLOW}
        assert found["outputs"]["save"]["images"][0]["subfolder"] == f"{job.id}/outputs"
        assert (await api.ask("GET", "/jobs/unknown")).status == 404

    serving(use)


def test_jobs_of_other_ways_are_listed_too(serving: Any) -> None:
    """A job from our own API is in the same queue, known by its id as a UUID, its graph as a prompt."""

    async def use(api: Any) -> None:
        job = await api.submit()
        own = prompt_id(job, {})
        waiting = (await api.ask("GET", "/queue")).json["queue_pending"][0]
        assert waiting[1] == own
        assert waiting[2]["save"]["class_type"] == "LimnerSaveImage"
        assert (await api.ask("GET", f"/jobs/{own}")).json["status"] == "pending"

    serving(use)


def test_nobody_sees_anothers_jobs(serving: Any) -> None:
    """In no list, under no id, and an id that two clients gave is each one's own."""

    async def use(api: Any) -> None:
        first = await accept(api, client="anna", prompt_id="same")
        api.finish(api.claim())
        api.token = BERT
        for path in ("/history", "/history/same", f"/history/{prompt_id(first.id, {})}"):
            assert (await api.ask("GET", path)).json == {}
        assert (await api.ask("GET", "/jobs")).json["jobs"] == []
        assert (await api.ask("GET", "/jobs/same")).status == 404
        second = await accept(api, client="bert", prompt_id="same")
        api.finish(api.claim())
        outputs = (await api.ask("GET", "/history/same")).json["same"]["outputs"]
        assert outputs["save"]["images"][0]["subfolder"] == f"{second.id}/outputs"
        await api.ask("POST", "/history", {"clear": True, "delete": [prompt_id(first.id, {})]})
        api.token = ANNA
        assert list((await api.ask("GET", "/history")).json) == ["same"]

    serving(use, clients=clients())


@pytest.mark.parametrize(
    "path",
    [
        "/history/%00",
        "/history/%ED%A0%80",
        "/jobs/%FF",
        "/jobs?workflow_id=%00",
        "/jobs?limit=0",
        "/jobs?limit=99999999999999999999",
        "/jobs?offset=2147483648",
        "/jobs?status=%00,,x",
        "/history?max_items=99999999999999999999",
        "/history?offset=99999999999999999999",
        "/history?offset=-99999999999999999999&max_items=1",
    ],
)
def test_nonsense_is_answered(serving: Any, path: str) -> None:
    """Ids and numbers that no client means give nothing, or are refused; never an error of the server's."""

    async def use(api: Any) -> None:
        await accept(api)
        assert (await api.ask("GET", path)).status < 500

    serving(use)
