"""From what happens to a job to what the socket says of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from limner.server.comfy.messages import Message, StoredPicture
from limner.server.comfy.telling import Reader, Telling
from limner.server.follower import Told

JOB, PROMPT = "0" * 32, "00000000-0000-0000-0000-000000000000"
EDITOR = Reader(has_flags=True, has_metadata=True, has_text_metadata=True)


def event(kind: str, time: float = 1.5, **body: Any) -> Told:
    return Told(kind, JOB, json.dumps({"time": time, "kind": kind, "body": body}), 1)


def nodes(**changes: Mapping[str, Any]) -> Told:
    return event("nodes", **changes)


def step(node: str, step: int, total: int) -> Told:
    return Told("step", JOB, json.dumps({"node": node, "step": step, "total": total}))


def artifact(name: str, node: str) -> dict[str, Any]:
    return {"name": name, "sha256": "0" * 64, "size_bytes": 1, "node": node}


def gave(node: str, *artifacts: dict[str, Any], values: Mapping[str, str] | None = None) -> Told:
    return event("gave", **{node: {"artifacts": artifacts, "values": values or {}}})


def telling(reader: Reader | None = None, **options: Any) -> Telling:
    return Telling(JOB, PROMPT, reader or Reader(), lambda name: name.removeprefix("Comfy"), **options)


def texts(said: list[Message]) -> list[tuple[str, Any]]:
    """Kind and fields of each message that is no frame."""
    parsed = [json.loads(one) for one in said if isinstance(one, str)]
    return [(one["type"], one["data"]) for one in parsed]


def kinds(said: list[Message]) -> list[str]:
    return [kind for kind, _ in texts(said)]


def frames(said: list[Message]) -> list[bytes]:
    return [one for one in said if isinstance(one, bytes)]


RUNNING = {"state": "running", "type": "ComfyKSampler"}


def test_a_run_is_told_in_the_protocols_order() -> None:
    """Start, what is cached, the node that runs, its output, success, and last that nothing runs any more."""
    one = telling()
    said = one.tell([event("queued", why="accepted"), event("started", attempt=1)])
    assert texts(said) == [("execution_start", {"prompt_id": PROMPT, "timestamp": 1500})]
    said = one.tell([event("progress", run={"nodes": 3, "todo": 2}), nodes(a={"state": "cached"}, b=RUNNING)])
    assert kinds(said) == ["execution_cached", "executing", "progress_state"]
    assert texts(said)[0][1]["nodes"] == ["a"]
    assert texts(said)[1][1] == {"node": "b", "display_node": "b", "prompt_id": PROMPT}
    said = one.tell([nodes(b={"state": "finished"}), gave("b", artifact("o/x.png", "b"))])
    assert kinds(said) == ["progress_state", "executed"]
    assert texts(said)[1][1]["output"] == {"images": [{"filename": "x.png", "subfolder": f"{JOB}/o", "type": "output"}]}
    said = one.tell([event("finished", status="completed", artifacts=[artifact("o/x.png", "b")])])
    assert kinds(said) == ["execution_success", "executing"]
    assert texts(said)[1][1]["node"] is None
    assert one.is_over


def test_only_what_changed_is_told() -> None:
    """A step tells of its node alone, and a node that has ended is not told again."""
    one = telling()
    one.tell([event("started"), nodes(a=RUNNING, b={"state": "cached"})])
    said = texts(one.tell([step("a", 3, 8)]))
    assert [kind for kind, _ in said] == ["progress", "progress_state"]
    assert said[0][1] == {"value": 3, "max": 8, "prompt_id": PROMPT, "node": "a"}
    assert list(said[1][1]["nodes"]) == ["a"]
    assert said[1][1]["nodes"]["a"] == {
        "value": 3,
        "max": 8,
        "state": "running",
        "node_id": "a",
        "prompt_id": PROMPT,
        "display_node_id": "a",
        "parent_node_id": None,
        "real_node_id": "a",
    }
    assert one.tell([]) == []


def test_ids_are_the_clients_own() -> None:
    """A node that our document calls otherwise is told by the id that its client gave it."""
    one = telling()
    said = one.tell([event("started"), nodes(**{"12-x3a-3": RUNNING})])
    assert texts(said)[2][1]["node"] == "12:3"


def test_a_step_may_come_before_its_node() -> None:
    """Steps are faster than events: the node is told to run with its first step, unless what is cached is unknown
    yet; a late one of a done node is none.
    """
    one = telling()
    one.tell([event("started")])
    assert one.tell([step("b", 1, 2)]) == []
    assert kinds(one.tell([nodes(a={"state": "cached"})])) == ["execution_cached", "progress_state"]
    assert kinds(one.tell([step("b", 1, 2)])) == ["executing", "progress", "progress_state"]
    one.tell([nodes(b={"state": "finished"})])
    assert one.tell([step("b", 2, 2)]) == []


def test_who_comes_back_is_told_how_it_stands() -> None:
    """All that happened so far becomes one telling: every node's last state, what was given, and what runs."""
    past = [event("queued"), event("started")]
    past += [nodes(**{f"n{i}": RUNNING}) for i in range(50)]
    past += [nodes(**{f"n{i}": {"state": "finished"}}) for i in range(49)]
    past += [
        gave("n7", artifact("n7.png", "n7")),
        event("progress", nodes={"n49": {"step": 2, "total": 9}}),
    ]
    said = texts(telling().tell(past))
    assert [kind for kind, _ in said] == [
        "execution_start",
        "execution_cached",
        "executing",
        "progress",
        "progress_state",
        "executed",
    ]
    assert said[2][1]["node"] == "n49"
    assert [entry["state"] for entry in said[4][1]["nodes"].values()] == ["finished"] * 49 + ["running"]
    assert said[5][1]["output"] == {"images": [{"filename": "n7.png", "subfolder": JOB, "type": "temp"}]}


def test_empty_outputs_are_for_those_who_count_nodes() -> None:
    """The editor is told of every node that is done; a script, which would take it for a result, is not."""
    news = [event("started"), nodes(a={"state": "finished"}, b={"state": "cached"})]
    assert "executed" not in kinds(telling().tell(news))
    said = [data for kind, data in texts(telling(EDITOR).tell(news)) if kind == "executed"]
    assert [(data["node"], data["output"]) for data in said] == [("a", {}), ("b", {})]


def test_an_output_is_told_once() -> None:
    """What was told when its node was done is not told again at the end; what was not, is."""
    one = telling(EDITOR)
    one.tell([event("started"), nodes(a={"state": "finished"}), gave("a", artifact("a.png", "a"))])
    said = one.tell([event("finished", status="completed", artifacts=[artifact("a.png", "a"), artifact("b.csv", "b")])])
    given = [data for kind, data in texts(said) if kind == "executed"]
    assert [(data["node"], list(data["output"])) for data in given] == [("b", ["files"])]


def test_texts_are_shown() -> None:
    """Values that nobody took are the node's texts."""
    one = telling()
    said = texts(one.tell([event("started"), gave("a", values={"text": "hello", "why": "x"})]))
    assert said[-1][1]["output"] == {"text": ["hello", "x"]}


def test_a_failure_says_where_and_what_to_try() -> None:
    """The node, its class, our message and hint, the error's name, and nothing of what is inside."""
    one = telling()
    one.tell([event("started"), nodes(a={"state": "finished"}, b=RUNNING)])
    fault = {"message": "b: too large", "path": ["nodes", "b"], "error": "InputError"}
    ended = event("finished", status="failed", message="b: too large", hint="make it smaller", faults=[fault])
    said = texts(one.tell([nodes(b={"state": "failed", "message": "too large"}), ended]))
    assert [kind for kind, _ in said] == ["progress_state", "execution_error", "executing"]
    assert said[0][1]["nodes"]["b"]["state"] == "error"
    assert said[1][1] == {
        "prompt_id": PROMPT,
        "node_id": "b",
        "node_type": "KSampler",
        "exception_message": "b: too large\nmake it smaller",
        "exception_type": "InputError",
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
        "executed": ["a"],
        "timestamp": 1500,
    }


def test_a_node_that_never_ran_is_named_with_its_class() -> None:
    """What the plan of a run refuses is told of its node as what a node raised is."""
    one = telling()
    fault = {"message": "device: no cuda:7", "path": ["nodes", "b", "device"], "type": "ComfyKSampler"}
    said = texts(one.tell([event("started"), event("finished", status="failed", message="no", faults=[fault])]))
    assert (said[1][1]["node_id"], said[1][1]["node_type"]) == ("b", "KSampler")


def test_what_is_said_has_the_clients_ids_and_names() -> None:
    """Words of ours about nodes of subgraphs, of a plan as of a warning, name them as their client does."""
    one = telling(EDITOR)
    message = "memory: 98-x3a-6 needs 36.1 GB @ nodes.98-x3a-6 (it fits with Quantize before 98-x3a-6)"
    fault = {"message": message, "path": ["nodes", "98-x3a-6"], "type": "ComfyKSampler"}
    news = [event("warning", node="98-x3a-6", message="ComfyKSampler cut what 98-x3a-5 gave"), event("started")]
    said = one.tell([*news[::-1], event("finished", status="failed", message=message, faults=[fault])])
    assert frames(said)[0].endswith(b"98:6KSampler cut what 98:5 gave")
    error = next(data for kind, data in texts(said) if kind == "execution_error")
    assert error["exception_message"] == "memory: 98:6 needs 36.1 GB @ nodes.98:6 (it fits with Quantize before 98:6)"


def test_a_job_that_took_its_worker_down_names_no_node() -> None:
    """Where no node is to blame, none is named, and the message says why."""
    one = telling()
    said = texts(one.tell([event("started"), event("finished", status="failed", message="it took the worker down")]))
    assert (said[1][1]["node_id"], said[1][1]["exception_message"]) == (None, "it took the worker down")


def test_an_interrupted_job_is_told_so() -> None:
    """The node that ran is named, and nothing runs any more."""
    one = telling()
    one.tell([event("started"), nodes(a=RUNNING)])
    said = texts(
        one.tell([nodes(a={"state": "skipped", "message": "cancelled"}), event("finished", status="cancelled")])
    )
    assert said[0][0] == "execution_interrupted"
    assert (said[0][1]["node_id"], said[0][1]["node_type"]) == ("a", "KSampler")
    assert said[1] == ("executing", {"node": None, "display_node": None, "prompt_id": PROMPT})


def test_a_job_that_never_began_is_over_for_scripts() -> None:
    """A script that waits for a job which is taken out of the queue is told that nothing runs; editors read lists."""
    news = [event("queued"), event("finished", status="cancelled")]
    assert kinds(telling().tell(news)) == ["execution_interrupted", "executing"]
    one = telling(EDITOR)
    assert one.tell(news) == []
    assert one.is_over


def test_another_attempt_begins_anew() -> None:
    """Where a worker died the job starts again, and what was done before is told as the new attempt finds it."""
    one = telling()
    one.tell([event("started"), nodes(a={"state": "finished"}, b=RUNNING)])
    again = [event("queued", why="its worker died"), event("started", attempt=2), nodes(a={"state": "cached"})]
    said = texts(one.tell(again))
    assert [kind for kind, _ in said] == ["execution_start", "execution_cached", "progress_state"]
    assert list(said[2][1]["nodes"]) == ["a"]
    assert not one.is_over


@pytest.mark.parametrize("reader", [Reader(), Reader(has_flags=True)])
def test_pictures_are_sent_by_the_node_that_sends_them(reader: Reader) -> None:
    """Scripts take the frames that come while it is told to run, also where others run already."""
    one = telling(reader)
    sends, loads = {"state": "running", "type": "ComfySaveImageWebsocket"}, RUNNING
    said = one.tell(
        [event("started"), nodes(s=sends), nodes(s={"state": "finished"}, b=loads), gave("s", artifact("s.png", "s"))]
    )
    place = said.index(StoredPicture(struct.pack(">II", 1, 2), "0" * 64))
    before = [data["node"] for kind, data in texts(said[:place]) if kind == "executing"]
    after = [data["node"] for kind, data in texts(said[place:]) if kind == "executing"]
    assert (before, after) == (["s"], ["b"])


@pytest.mark.parametrize(
    ("reader", "asked", "kind"),
    [(Reader(), False, None), (Reader(), True, 1), (Reader(has_flags=True), False, 1), (EDITOR, False, 4)],
)
def test_previews_go_to_those_who_read_them(reader: Reader, asked: bool, kind: int | None) -> None:
    """With metadata where that was negotiated, plain where asked for, and not at all to any other client."""
    body = json.dumps({"node": "a", "step": 1, "total": 2, "media_type": "image/jpeg"})
    one = telling(reader, wants_previews=asked)
    found = frames(one.tell([event("started"), Told("preview", JOB, body, picture=b"jpeg")]))
    assert [struct.unpack(">I", frame[:4])[0] for frame in found] == ([] if kind is None else [kind])
    if kind == 1:
        assert found[0][4:] == b"\0\0\0\1jpeg"
    if kind == 4:
        size = struct.unpack(">I", found[0][4:8])[0]
        about = json.loads(found[0][8 : 8 + size])
        assert (about["node_id"], about["prompt_id"], about["image_type"]) == ("a", PROMPT, "image/jpeg")
        assert found[0][8 + size :] == b"jpeg"


def test_what_nodes_say_goes_to_those_who_read_it() -> None:
    """Warnings, models that load and steps that a node goes on from are texts of their node, for editors."""
    models = [{"event": "model_loading", "model": "tiny", "node": "a", "device": "cpu", "size_bytes": 1}]
    news = [event("started"), event("warning", node="a", message="cut"), event("progress", models=models)]
    news.append(nodes(a=RUNNING | {"step": 3}))
    assert frames(telling().tell(news)) == []
    assert frames(telling(Reader(has_flags=True)).tell(news))[0] == struct.pack(">II", 3, 1) + b"acut"
    said = frames(telling(EDITOR).tell(news))
    assert said[0] == struct.pack(">II", 3, 36) + PROMPT.encode() + struct.pack(">I", 1) + b"acut"
    assert [frame[49:] for frame in said] == [b"cut", b"loading tiny", b"goes on from step 3"]


def test_no_message_is_larger_than_clients_take() -> None:
    """Who comes back to a job of 20,000 nodes is told of all of them, in messages below 1 MiB."""
    names = [f"some:node-{number}" for number in range(20_000)]
    said = telling(EDITOR).tell([event("started"), nodes(**{name: {"state": "finished"} for name in names})])
    told = [data["nodes"] for kind, data in texts(said) if kind == "progress_state"]
    assert [name for part in told for name in part] == names
    assert max(map(len, said)) < 1 << 20


def test_a_thousand_nodes_are_few_bytes() -> None:
    """A run of a thousand nodes, told ten times, is less than half a megabyte even to the editor."""
    one = telling(EDITOR)
    said = one.tell([event("started")])
    for part in range(10):
        names = [f"n{part * 100 + i}" for i in range(100)]
        said += one.tell([nodes(**dict.fromkeys(names, RUNNING))])
        said += one.tell([nodes(**{name: {"state": "finished"} for name in names})])
    said += one.tell([event("finished", status="completed")])
    assert sum(map(len, said)) <= 500_000
