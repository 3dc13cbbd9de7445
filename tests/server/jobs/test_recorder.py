"""What a run's events become: few, and nothing lost."""

from __future__ import annotations

from limner.engine import events as ev
from limner.server.jobs.job import NodeRun
from limner.server.jobs.recorder import NODES_AN_EVENT, Recorder


def test_what_a_node_did_between_two_writes_is_one_change() -> None:
    """Started and finished at once, a node is told once, and its progress not at all."""
    recorder = Recorder()
    recorder.note(ev.NodeStarted(1, 5.0, "a", "T", "cpu"))
    for step in range(1, 100):
        recorder.note(ev.NodeProgress(step, 6.0, "a", step, 99))
    recorder.note(ev.NodeFinished(101, 7.0, "a", 2.0))
    told, rows = recorder.take()
    assert told == [("nodes", {"a": {"state": "finished", "type": "T", "lane": "cpu", "started": 5.0, "seconds": 2.0}})]
    assert rows == [NodeRun("a", "finished", "T", "cpu", 5.0, 2.0, 99, 99)]
    assert recorder.take() == ([], [])


def test_progress_is_the_latest() -> None:
    """Of a node that runs on, the last step is told, and only what is new of it."""
    recorder = Recorder()
    recorder.note(ev.NodeStarted(1, 5.0, "a", "T", "cpu"))
    recorder.take()
    for step in (1, 2, 3):
        recorder.note(ev.NodeProgress(step, 6.0, "a", step, 9))
    told, rows = recorder.take()
    assert told == [("progress", {"nodes": {"a": {"step": 3, "total": 9}}})]
    assert rows == [NodeRun("a", "running", "T", "cpu", 5.0, None, 3, 9)]


def test_failures_and_warnings_are_told_in_words() -> None:
    """Why a node failed or was skipped, and what it warned of, is in the events and in its row."""
    recorder = Recorder()
    recorder.note(ev.NodeWarned(1, 5.0, "a", "hm"))
    recorder.note(ev.NodeWarned(2, 5.0, "a", "hm again"))
    recorder.note(ev.NodeFailed(3, 5.0, "a", "no \ud800", "mend it"))
    recorder.note(ev.NodeSkipped(4, 5.0, "b", "a failed"))
    told, rows = recorder.take()
    assert [kind for kind, _ in told] == ["nodes", "warning", "warning"]
    assert told[0][1]["a"] == {"state": "failed", "message": "no \ud800", "hint": "mend it"}
    assert [(row.node, row.state, row.message) for row in rows] == [
        ("a", "failed", "no \\ud800"),
        ("b", "skipped", "a failed"),
    ]


def test_downloads_are_told_as_they_stand() -> None:
    """Of many reports about one file the last is kept; what was loaded is told each time."""
    recorder = Recorder()
    for done in (1, 2, 3):
        recorder.note(ev.ModelFetching(done, 5.0, "a", "m", done, 9))
    recorder.note(ev.ModelLoaded(4, 5.0, "a", "m", "cpu", 10, 1.0))
    ((kind, body),) = recorder.take()[0]
    assert kind == "progress"
    assert [(model["event"], model.get("done_bytes")) for model in body["models"]] == [
        ("model_fetching", 3),
        ("model_loaded", None),
    ]


def test_no_event_of_a_large_graph_is_large() -> None:
    """Many nodes at once are several events."""
    recorder = Recorder()
    for number in range(NODES_AN_EVENT * 2 + 1):
        recorder.note(ev.NodeCached(number, 5.0, f"n{number}", "key"))
    told, rows = recorder.take()
    assert [len(body) for _, body in told] == [NODES_AN_EVENT, NODES_AN_EVENT, 1]
    assert len(rows) == NODES_AN_EVENT * 2 + 1
