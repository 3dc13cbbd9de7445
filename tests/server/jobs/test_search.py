"""Jobs found by labels, and lists read from any entry on."""

from __future__ import annotations

import pytest
from hand_clock import HandClock

from limner.server.jobs.job import Artifact, NewJob, NodeRun
from limner.server.jobs.leases import Ending
from limner.server.jobs.search import Wanted
from limner.server.jobs.store import JobStore


def accept(store: JobStore, client: str = "anna", **labels: str) -> str:
    return store.queue.accept(NewJob("{}", client=client, labels=labels)).id


def finish(store: JobStore, *names: str) -> str:
    """End the next job with files of these names. Gives its id."""
    claim = store.leases.claim("w")
    assert claim is not None
    store.leases.finish(claim, Ending("completed", artifacts=[Artifact(name, "0" * 64, 1, "save") for name in names]))
    return claim.job_id


def ids(store: JobStore, wanted: Wanted, **options: int) -> list[str]:
    return [job.id for job in store.search.page(wanted, **options)]


def test_labels_find_jobs(store: JobStore) -> None:
    """A label finds the jobs that have it with this value, also one that databases do not take as it is."""
    one, two = accept(store, flow="a\0b"), accept(store, flow="a\0b", other="x")
    accept(store, flow="c")
    assert ids(store, Wanted(label=("flow", "a\0b"))) == [two, one]
    assert ids(store, Wanted(label=("other", "a\0b"))) == []
    assert store.search.labels([one, two]) == {one: {"flow": "a\\0b"}, two: {"flow": "a\\0b", "other": "x"}}


def test_lists_are_read_from_any_entry_on(store: JobStore, clock: HandClock) -> None:
    """Lists are narrowed by client and state, ordered, counted, and cut anywhere."""
    jobs = [accept(store) for _ in range(5)]
    other = accept(store, "bert")
    for seconds in (3, 1, 2):
        claim = store.leases.claim("w")
        assert claim is not None
        clock.now += seconds
        store.leases.finish(claim, Ending("completed"))
    ended = store.search.page(Wanted(states=["completed"]))
    assert store.search.count(Wanted()) == 6
    assert ids(store, Wanted(client="anna"), offset=1, limit=3) == jobs[3:0:-1]
    assert ids(store, Wanted(client="anna", is_descending=False), offset=3) == jobs[3:]
    by_time = store.search.page(Wanted(states=["completed"], sort_by="duration"))
    assert by_time == sorted(ended, key=lambda job: (job.started or 0) - (job.finished or 0))
    assert store.search.count(Wanted(client="bert", states=["pending", "completed"])) == 1
    assert other in ids(store, Wanted())


def test_what_is_hidden_is_in_no_list(store: JobStore) -> None:
    """Hidden jobs leave the lists of their client and stay what they are; what has not ended is not hidden."""
    first, second, third = accept(store), accept(store, "bert"), accept(store)
    assert {finish(store), finish(store)} == {first, second}
    store.search.hide("anna")
    assert ids(store, Wanted()) == [third, second]
    store.search.hide("anna", [first, second, third, "unknown"])
    assert ids(store, Wanted()) == [third, second]
    store.search.hide(None, [second, third])
    assert ids(store, Wanted()) == [third]
    assert store.history.job(first).state == "completed"


def test_files_of_many_jobs_come_at_once(store: JobStore) -> None:
    """Each job has its own files, sorted by name; one without any has none."""
    one, two, three = accept(store), accept(store), accept(store)
    finish(store, "b.png", "a.png")
    finish(store, "c.png")
    found = store.search.artifacts([one, two, three])
    assert {job: [artifact.name for artifact in files] for job, files in found.items()} == {
        one: ["a.png", "b.png"],
        two: ["c.png"],
        three: [],
    }


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_many_ids_are_no_trouble(store: JobStore, count: int) -> None:
    """However many jobs are named, each is found once."""
    job = accept(store, flow="a")
    assert store.search.labels([*map(str, range(count)), job])[job] == {"flow": "a"}


def test_why_jobs_failed_is_read_at_once(store: JobStore) -> None:
    """The last word of each job, and the types of the nodes that failed; notes come as they were given."""
    one = store.queue.accept(NewJob("{}", notes={"a": [1]})).id
    claim = store.leases.claim("w")
    assert claim is not None
    nodes = [NodeRun("x", "failed", type="Denoise"), NodeRun("y", "finished", type="Text"), NodeRun("z", "failed")]
    store.leases.finish(claim, Ending("failed", "too large", "make it smaller"), nodes=nodes)
    found = store.search.failures([one, "unknown"])
    assert found[one].body == {"status": "failed", "message": "too large", "hint": "make it smaller"}
    assert (list(found), found[one].types) == ([one], {"x": "Denoise"})
    assert store.search.notes([one, "unknown"]) == {one: {"a": [1]}}


def test_what_waits_is_cancelled_at_once(store: JobStore) -> None:
    """All of one client's, paused ones too, and nothing else; each says so in its last event."""
    running, *waiting = [accept(store) for _ in range(300)]
    other = accept(store, "bert")
    assert store.leases.claim("w") is not None
    store.queue.pause(waiting[0])
    assert store.queue.cancel_waiting("anna") == 299
    assert store.history.counts() == {"in_progress": 1, "cancelled": 299, "pending": 1}
    assert ids(store, Wanted(states=["in_progress", "pending"])) == [other, running]
    assert store.history.events(waiting[-1])[-1].body == {"status": "cancelled"}
