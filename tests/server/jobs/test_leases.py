"""What workers do with jobs: one has a job at a time, and one that lost it changes nothing."""

from __future__ import annotations

import pytest
from hand_clock import HandClock

from limner.server.jobs.errors import LeaseLostError
from limner.server.jobs.job import Artifact, Claim, NewJob, NodeRun
from limner.server.jobs.leases import Ending
from limner.server.jobs.store import JobStore


def take(store: JobStore, worker: str = "w") -> Claim:
    claim = store.leases.claim(worker)
    assert claim is not None
    return claim


def kinds(store: JobStore, job_id: str) -> list[str]:
    events = store.history.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.kind for event in events]


def test_a_job_is_taken_once(store: JobStore) -> None:
    """Two workers get two jobs, and a third gets none."""
    for _ in range(2):
        store.queue.accept(NewJob("{}"))
    assert store.leases.is_anything_due()
    assert take(store, "v").job_id != take(store, "w").job_id
    assert store.leases.claim("x") is None
    assert not store.leases.is_anything_due()
    assert sorted(store.leases.workers()) == ["v", "w"]


def test_a_silent_worker_loses_its_job(store: JobStore, clock: HandClock) -> None:
    """When the lease is over another worker takes the job, and nothing that the first one writes is kept."""
    job = store.queue.accept(NewJob("{}"))
    old = take(store, "slow")
    clock.now += 29
    assert store.leases.claim("other") is None
    assert store.leases.silent() == []
    clock.now += 2
    assert store.leases.is_anything_due()
    assert store.leases.silent() == ["slow"]
    new = take(store, "other")
    assert (new.job_id, new.fence) == (job.id, old.fence + 1)
    before = store.history.events(job.id)
    for write in (
        lambda: store.leases.record(old, [("nodes", {})], [NodeRun("a", "running")]),
        lambda: store.leases.finish(old, Ending("completed")),
        lambda: store.leases.give_back(old, "late"),
        lambda: store.leases.extend(old),
        lambda: store.leases.wish(old),
    ):
        with pytest.raises(LeaseLostError, match=job.id):
            write()
    assert store.history.events(job.id) == before
    assert store.history.node_runs(job.id) == []
    store.leases.finish(new, Ending("completed"))
    assert kinds(store, job.id) == ["queued", "started", "queued", "started", "finished"]


def test_a_beating_worker_keeps_its_job(store: JobStore, clock: HandClock) -> None:
    """Saying that it lives, or telling of the run, extends the lease."""
    store.queue.accept(NewJob("{}"))
    claim = take(store)
    for write in (store.leases.extend, lambda claim: store.leases.record(claim, [])):
        clock.now += 25
        write(claim)
    clock.now += 25
    assert store.leases.claim("other") is None


def test_what_is_given_back_is_next(store: JobStore) -> None:
    """A job that its worker gives back keeps its place before all that came after it."""
    first = store.queue.accept(NewJob("{}", client="a"))
    for client in "abc":
        store.queue.accept(NewJob("{}", client=client))
    claim = take(store)
    told = ("nodes", {"n": {"state": "running"}})
    store.leases.give_back(claim, "the worker ends", [told], [NodeRun("n", "running")])
    assert store.history.job(first.id).state == "pending"
    assert take(store).job_id == first.id


def test_pausing_a_running_job_gives_it_back_paused(store: JobStore) -> None:
    """The worker gives back what was to be paused, and it waits for being resumed."""
    job = store.queue.accept(NewJob("{}"))
    claim = take(store)
    store.queue.pause(job.id)
    store.leases.give_back(claim, "the worker ends")
    assert store.history.job(job.id).is_paused
    assert store.leases.claim("w") is None
    assert store.history.events(job.id)[-1].body == {"why": "paused"}


def test_what_was_cancelled_meanwhile_does_not_wait_again(store: JobStore) -> None:
    """A worker that stops for a pause, and gives the job back after it was cancelled, ends it."""
    job = store.queue.accept(NewJob("{}"))
    claim = take(store)
    store.queue.pause(job.id)
    store.queue.resume(job.id)
    store.queue.cancel(job.id)
    store.leases.give_back(claim, "the worker ends")
    ended = store.history.job(job.id)
    assert (ended.state, ended.finished is not None) == ("cancelled", True)
    assert store.history.events(job.id)[-1].body == {"status": "cancelled"}


def test_an_ending_is_kept_whole(store: JobStore) -> None:
    """State, message, nodes, artifacts and the last event are there together; a later attempt replaces the files."""
    job = store.queue.accept(NewJob("{}"))
    files = [Artifact("a/b.png", "ab" * 32, 7, "save"), Artifact("c.png", "cd" * 32, 8)]
    ending = Ending("failed", "it \ud800 broke\0", "mend it", artifacts=files, seconds=1.5)
    store.leases.finish(take(store), ending, [("warning", {"node": "n", "message": "w"})], [NodeRun("n", "failed")])
    ended = store.history.job(job.id)
    assert (ended.state, ended.message, ended.hint) == ("failed", "it \\ud800 broke\\0", "mend it")
    assert store.history.artifacts(job.id) == files
    assert store.history.node_runs(job.id) == [NodeRun("n", "failed")]
    assert kinds(store, job.id) == ["queued", "started", "warning", "finished"]
    assert store.history.events(job.id)[-1].body["seconds"] == 1.5
    store.queue.retry(job.id)
    store.leases.finish(take(store), Ending("completed", artifacts=files[:1]))
    assert store.history.artifacts(job.id) == files[:1]


def test_a_node_has_one_row(store: JobStore) -> None:
    """What a node did last replaces what it did before."""
    job = store.queue.accept(NewJob("{}"))
    claim = take(store)
    store.leases.record(claim, [], [NodeRun("n", "running", type="T"), NodeRun("m", "cached")])
    store.leases.record(claim, [], [NodeRun("n", "finished", type="T", seconds=2.0)])
    assert store.history.node_runs(job.id) == [NodeRun("m", "cached"), NodeRun("n", "finished", type="T", seconds=2.0)]


def test_a_job_that_takes_its_worker_down_fails(store: JobStore) -> None:
    """Three deaths that were seen, and the job ends with words that say so instead of running for ever."""
    job = store.queue.accept(NewJob("{}"))
    for number in range(3):
        assert take(store, f"w{number}").job_id == job.id
        store.leases.died(f"w{number}", "killed by SIGSEGV")
    ended = store.history.job(job.id)
    assert (ended.state, ended.deaths, ended.attempts) == ("failed", 3, 3)
    assert ended.message == "it took the worker down 3 times; the last time: killed by SIGSEGV"
    assert store.leases.claim("w") is None
    assert store.queue.retry(job.id).deaths == 0


def test_a_machine_that_is_switched_off_is_not_the_jobs_fault(store: JobStore) -> None:
    """Workers that vanish with all else do not count as deaths; but not without end either."""
    job = store.queue.accept(NewJob("{}"))
    for _ in range(24):
        take(store)
        store.leases.vanished("w")
    assert (store.history.job(job.id).state, store.history.job(job.id).deaths) == ("pending", 0)
    take(store)
    store.leases.vanished("w")
    assert store.history.job(job.id).message == "its worker was lost 25 times"


def test_a_wish_outlives_the_worker(store: JobStore) -> None:
    """Who cancelled or paused a job whose worker dies finds it cancelled or paused."""
    cancelled, paused = (store.queue.accept(NewJob("{}")) for _ in range(2))
    take(store, "v")
    take(store, "w")
    store.queue.cancel(cancelled.id)
    store.queue.pause(paused.id)
    store.leases.died("v", "killed")
    store.leases.died("w", "killed")
    assert store.history.job(cancelled.id).state == "cancelled"
    assert store.history.job(paused.id).is_paused


def test_nodes_wait_with_their_job(store: JobStore) -> None:
    """Of a job that waits again, for whatever reason, nodes without a result wait too; those with one keep it."""
    job = store.queue.accept(NewJob("{}"))
    runs = [
        NodeRun("done", "finished", "Steps", seconds=1.0),
        NodeRun("half", "skipped", "Steps", "cpu", 5.0, step=3, total=9, message="cancelled"),
        NodeRun("later", "skipped", message="cancelled"),
    ]
    changes = {run.node: {"state": run.state, "message": run.message} for run in runs}

    def states() -> dict[str, tuple[str, str | None]]:
        return {run.node: (run.state, run.message) for run in store.history.node_runs(job.id)}

    waiting = {"done": ("finished", None), "half": ("waiting", None), "later": ("waiting", None)}
    store.leases.give_back(take(store), "its worker ended", [("nodes", changes)], runs)
    assert states() == waiting
    told = next(event for event in store.history.events(job.id) if event.kind == "nodes").body
    assert (told["done"]["state"], told["half"], told["later"]) == ("finished", *[{"state": "waiting"}] * 2)
    store.leases.record(take(store), [], [NodeRun("half", "running", "Steps")])
    store.leases.died("w", "as told")
    assert states() == waiting
    failed = [NodeRun("half", "failed", "Steps", message="no ink"), NodeRun("later", "skipped", message="half failed")]
    store.leases.finish(take(store), Ending("failed", "no ink"), [], failed)
    assert states()["later"] == ("skipped", "half failed")
    store.queue.retry(job.id)
    assert states() == waiting
    store.queue.cancel(job.id)
    assert states() == waiting | dict.fromkeys(("half", "later"), ("skipped", "cancelled"))
