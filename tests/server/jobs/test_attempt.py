"""What a worker makes of a job, from the claim to the end."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from crew import accept, contents, ended, graph, node, real_store, session, steps_then_write, wait_until, worker

from limner.server.jobs.attempt import Attempt
from limner.server.jobs.store import JobStore


@pytest.fixture
def real(tmp_path: Path) -> Iterator[JobStore]:
    with real_store(tmp_path / "store") as store:
        yield store


def kinds(store: JobStore, job_id: str) -> list[str]:
    events = store.history.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.kind for event in events]


def test_what_nodes_give_outlives_the_run(real: JobStore) -> None:
    """Files that nodes wrote, spoken of or not, and values that nobody took are the job's artifacts."""
    with worker(real):
        raw = graph(
            {
                "steps": node("Steps"),
                "write": node("Write", {"value": "steps"}, path="deep/er/v.txt", beside=True),
                "more": node("Numbers", {"value": "steps"}),
            }
        )
        (job,) = ended(real, accept(real, raw))
    assert (job.state, job.attempts) == ("completed", 1)
    found = contents(real, job)
    (more,) = json.loads(found.pop("values.json"))["more"].values()
    value = more - 1
    assert found == {"deep/er/v.txt": f"{value}\n".encode(), "deep/er/beside.txt": b"also\n"}
    assert {one.name: one.node for one in real.history.artifacts(job.id)}["deep/er/v.txt"] == "write"
    assert {run.node: run.state for run in real.history.node_runs(job.id)} == dict.fromkeys(
        ("steps", "write", "more"), "finished"
    )
    assert kinds(real, job.id)[-1] == "finished"
    assert "warning" in kinds(real, job.id)
    assert not list((real.folder / "running").rglob("*"))


def test_what_nodes_give_is_there_before_the_job_ends(real: JobStore) -> None:
    """Pictures and texts of nodes that are done can be had while others run, and are the same at the end."""
    nodes = {
        "draw": node("Draw"),
        "save": node("SaveImage", {"images": "draw"}, path="out/a.png"),
        "three": node("Draw", colour=3),
        "show": node("PreviewImage", {"images": "three"}),
        "late": node("Late", {"images": "show"}),
        "say": node("Say"),
    }
    with worker(real):
        accepted = accept(real, graph(nodes))
        job_id = accepted.id
        wait_until(lambda: len(real.history.artifacts(job_id)) == 2)
        early = {one.name: one for one in real.history.artifacts(job_id)}
        assert real.history.job(job_id).state == "in_progress"
        assert [real.blobs.path(one.sha256).read_bytes()[:4] for one in early.values()] == [b"\x89PNG"] * 2
        real.queue.cancel(job_id)
        (job,) = ended(real, accepted)
    assert job.state == "cancelled"
    assert {one.name: one for one in real.history.artifacts(job_id)} == early
    assert {name: one.node for name, one in early.items()} == {"out/a.png": "save", "show.png": "show"}
    gave = [event.body for event in real.history.events(job_id) if event.kind == "gave"]
    assert {name for body in gave for name in body} == {"save", "show", "say"}
    assert [body["say"]["values"] for body in gave if "say" in body] == [{"str": "hello"}]


def test_what_was_given_early_is_given_once(real: JobStore) -> None:
    """A job that ends has each file once, under the name that was told."""
    nodes = {
        "draw": node("Draw"),
        "save": node("SaveImage", {"images": "draw"}, path="out/a.png"),
        "show": node("Draw", colour=3),
        "wait": node("Steps", count=20, seconds=0.05),
    }
    with worker(real):
        (job,) = ended(real, accept(real, graph(nodes)))
    told = [event.body for event in real.history.events(job.id) if event.kind == "gave"]
    names = [file["name"] for body in told for gift in body.values() for file in gift["artifacts"]]
    assert sorted(names) == ["out/a.png", "show.png"]
    assert sorted(one.name for one in real.history.artifacts(job.id)) == ["out/a.png", "show.png", "values.json"]


@pytest.mark.parametrize("path", ["../out.txt", "/tmp/limner-escaped.txt", "~/out.txt"])
def test_no_path_leaves_the_jobs_folder(real: JobStore, path: str) -> None:
    """A graph that writes elsewhere fails with a word, and nothing is there."""
    with worker(real):
        raw = graph({"steps": node("Steps"), "write": node("Write", {"value": "steps"}, path=path)})
        (job,) = ended(real, accept(real, raw))
    assert job.state == "failed"
    assert "leads out of the run's folder" in str(job.message)
    assert str(real.folder) not in str(job.message)
    assert not Path("/tmp/limner-escaped.txt").exists()


def test_a_graph_that_is_wrong_fails_with_its_faults(real: JobStore) -> None:
    """What was accepted and cannot run, as after a change of nodes, says what is wrong; the next job runs."""
    with worker(real):
        wrong, no_json, failing, right = ended(
            real,
            accept(real, graph({"a": node("Nope")})),
            accept(real, "[" * 10_000),
            accept(real, graph({"a": node("Numbers"), "f": node("Fail", {"value": "a"}), "n": node("Steps")})),
            accept(real, graph({"a": node("Numbers")})),
        )
    assert [job.state for job in (wrong, no_json, failing, right)] == ["failed", "failed", "failed", "completed"]
    assert "unknown node type Nope" in str(wrong.message)
    (fault,) = real.history.events(wrong.id)[-1].body["faults"]
    assert (fault["path"], fault["type"]) == (["nodes", "a", "type"], "Nope")
    assert failing.message == "f (Fail) failed: ValueError: as told"
    assert {run.node: run.state for run in real.history.node_runs(failing.id)} == {
        "a": "finished",
        "f": "failed",
        "n": "finished",
    }
    assert "values.json" in contents(real, failing), "one failed branch does not lose what the others gave"


def test_cancelling_stops_within_a_step(real: JobStore) -> None:
    """A running job that is cancelled ends as such, long before its steps do, and the next one runs."""
    log = real.folder / "log"
    with worker(real):
        job = accept(real, steps_then_write(count=10_000, seconds=0.02, log=str(log)))
        wait_until(log.exists)
        real.queue.cancel(job.id)
        cancelled, after = ended(real, job, accept(real, graph({"a": node("Numbers")})))
    assert (cancelled.state, after.state) == ("cancelled", "completed")
    assert real.history.artifacts(job.id) == []


def test_pausing_and_draining_go_on_from_the_step(real: JobStore) -> None:
    """A job that is paused, and one whose worker is told to end, do no step twice, and end in the same bytes."""
    undisturbed, log = real.folder / "undisturbed", real.folder / "log"
    with worker(real):
        (plain,) = ended(real, accept(real, steps_then_write(salt=1, count=60, log=str(undisturbed))))
        job = accept(real, steps_then_write(salt=2, count=60, seconds=0.05, log=str(log)))
        wait_until(log.exists)
        real.queue.pause(job.id)
        wait_until(lambda: real.history.job(job.id).is_paused)
        assert real.history.job(job.id).state == "pending"
        real.queue.resume(job.id)
        wait_until(lambda: real.history.job(job.id).state == "in_progress")
    assert real.history.job(job.id).state == "pending", "the worker ended in the middle, and gave it back"
    with worker(real, "another"):
        (done,) = ended(real, job)
    assert (done.state, done.attempts, done.deaths) == ("completed", 3, 0)
    steps = [int(line.split()[1]) for line in log.read_text().splitlines()]
    assert steps == list(range(1, 61))
    assert contents(real, done) == contents(real, plain)
    assert kinds(real, job.id).count("started") == 3


def test_a_large_graph_is_few_writes(real: JobStore) -> None:
    """The events of two thousand trivial nodes are some rows, however fast they come, and none is lost."""
    nodes = {f"n{i}": node("Numbers", {"value": f"n{i - 1}"} if i else None) for i in range(2000)}
    with worker(real):
        (job,) = ended(real, accept(real, graph(nodes)))
    events = real.history.events(job.id)
    assert job.state == "completed"
    assert len(events) < 200
    told = {name: state["state"] for event in events if event.kind == "nodes" for name, state in event.body.items()}
    assert told == dict.fromkeys(nodes, "finished")
    assert len(real.history.node_runs(job.id)) == 2000


def test_what_a_job_leaves_in_cycles_goes_with_it(real: JobStore) -> None:
    """Once a job has ended its worker frees what only a collector can, however rarely that one looks by itself."""
    log = real.folder / "log"
    gc.disable()
    try:
        with worker(real):
            ended(real, accept(real, graph({"a": node("Knot", log=str(log))})))
            wait_until(log.exists)
    finally:
        gc.enable()


def test_a_full_disk_fails_the_job_and_not_the_worker(real: JobStore) -> None:
    """Results that find no room make their job fail with the reason; the worker takes the next."""
    (real.folder / "artifacts").write_text("in the way")
    with worker(real):
        job, after = ended(
            real, accept(real, steps_then_write()), accept(real, '{"limner": 1, "name": "x", "nodes": {}}')
        )
    assert job.state == "failed"
    assert "an artifact cannot be written" in str(job.message)
    assert after.state in ("completed", "failed")


def test_a_job_itself_goes_without_a_collector(real: JobStore) -> None:
    """Nothing of one that has ended is in a cycle: what it gave may be large."""
    accept(real, graph({"steps": node("Steps")}))
    gc.disable()
    try:
        with session(real.folder) as running, real.presence.enter("worker"):
            claim = real.leases.claim("worker")
            assert claim is not None
            attempt = Attempt(real, running, claim, threading.Event())
            attempt.run()
            gone = weakref.ref(attempt)
            del attempt
            wait_until(lambda: gone() is None)
    finally:
        gc.enable()
