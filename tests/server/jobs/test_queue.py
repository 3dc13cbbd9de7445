"""What clients do with jobs."""

from __future__ import annotations

import pytest
from hand_clock import HandClock

from limner.engine.errors import InputError
from limner.server.jobs.errors import JobStateError, UnknownJobError
from limner.server.jobs.job import Job, NewJob
from limner.server.jobs.leases import Ending
from limner.server.jobs.store import JobStore


def accept(store: JobStore, *clients: str, priority: int = 0) -> list[Job]:
    return [store.queue.accept(NewJob("{}", client=client, priority=priority)) for client in clients]


def order(store: JobStore) -> list[str]:
    """The clients of the waiting jobs, in order."""
    return [job.client for job in store.history.waiting(limit=1000).jobs]


def claims(store: JobStore, count: int) -> list[str]:
    """The ids of the next jobs that a worker gets."""
    return [claim.job_id for _ in range(count) if (claim := store.leases.claim("w")) is not None]


def test_an_accepted_job_is_there(store: JobStore) -> None:
    """What was accepted can be read back, document and notes included, and its first event says so."""
    job = store.queue.accept(NewJob('{"a": 1}', name="n\0ame", client="me", notes={"tag": [1, None]}))
    assert (job.state, job.name, job.client) == ("pending", "n\\0ame", "me")
    assert store.history.job(job.id) == job
    assert store.history.graph(job.id) == '{"a": 1}'
    assert store.history.notes(job.id) == {"tag": [1, None]}
    assert [(event.seq, event.kind) for event in store.history.events(job.id)] == [(1, "queued")]


def test_the_same_key_is_the_same_job(store: JobStore) -> None:
    """A key of a client names one job, also after it ended; another client's same key names another."""
    new = NewJob("{}", client="a", idempotency_key="k")
    first = store.queue.accept(new)
    assert store.queue.accept(new) == first
    store.queue.cancel(first.id)
    assert store.queue.accept(new).id == first.id
    assert store.queue.accept(NewJob("{}", client="b", idempotency_key="k")).id != first.id
    assert sum(store.history.counts().values()) == 2


def test_clients_take_turns(store: JobStore) -> None:
    """A client with many jobs delays another's first by one job, and every round has one job of each."""
    accept(store, "a", "a", "a", "a", "b", "b", "c")
    assert order(store) == ["a", "b", "c", "a", "b", "a", "a"]


def test_who_comes_back_is_not_served_twice_in_a_round(store: JobStore) -> None:
    """A client that hands in its next job only when one is taken gets no more turns than one that queued all."""
    accept(store, "a", "b", "b", "b")
    served = []
    for _ in range(6):
        claim = store.leases.claim("w")
        assert claim is not None
        served.append(store.history.job(claim.job_id).client)
        if served[-1] == "a":
            accept(store, "a")
    assert [set(served[place : place + 2]) for place in (0, 2, 4)] == [{"a", "b"}] * 3


def test_who_cancels_loses_no_turns(store: JobStore) -> None:
    """Jobs that were cancelled cost their client nothing."""
    jobs = accept(store, *"aaaaa", *"bbb")
    for job in jobs[:5]:
        store.queue.cancel(job.id)
    accept(store, "a")
    assert order(store)[:2] in (["a", "b"], ["b", "a"])


def test_priority_comes_first(store: JobStore) -> None:
    """A higher priority is served before any turn, and can be given later; within it clients take turns."""
    low, *_ = accept(store, "a", "b")
    accept(store, "c", "c", "d", priority=5)
    assert order(store) == ["c", "d", "c", "a", "b"]
    assert store.queue.set_priority(low.id, 7).priority == 7
    assert order(store) == ["a", "c", "d", "c", "b"]
    with pytest.raises(InputError, match="priority"):
        store.queue.set_priority(low.id, 10**9)


def test_a_client_orders_its_own_jobs(store: JobStore) -> None:
    """Moving a job changes the order of its client's jobs, and nobody else's place."""
    first, _, third, fourth = accept(store, "a", "b", "a", "a")
    store.queue.move(fourth.id, 0)
    waiting = store.history.waiting().jobs
    assert [job.id for job in waiting if job.client == "a"] == [fourth.id, first.id, third.id]
    assert order(store) == ["a", "b", "a", "a"]
    store.queue.move(fourth.id, 99)
    assert [job.id for job in store.history.waiting(client="a").jobs] == [first.id, third.id, fourth.id]


def test_a_paused_job_is_passed_over(store: JobStore) -> None:
    """A paused job is not taken until it is resumed, and then waits behind the others of its client."""
    first, second = accept(store, "a", "a")
    store.queue.pause(first.id)
    assert [job.id for job in store.history.waiting(is_paused=True).jobs] == [first.id]
    assert claims(store, 2) == [second.id]
    store.queue.resume(first.id)
    assert claims(store, 2) == [first.id]


def test_a_paused_queue_gives_nothing(store: JobStore) -> None:
    """While the queue is paused jobs are accepted and none is taken."""
    store.queue.pause_all()
    (job,) = accept(store, "a")
    assert store.history.is_paused()
    assert claims(store, 1) == []
    store.queue.resume_all()
    assert claims(store, 1) == [job.id]


def test_a_waiting_job_is_cancelled_at_once(store: JobStore, clock: HandClock) -> None:
    """It ends without a worker; a second time changes nothing."""
    (job,) = accept(store, "a")
    ended = store.queue.cancel(job.id)
    assert (ended.state, ended.finished) == ("cancelled", clock.now)
    assert store.queue.cancel(job.id) == ended
    assert store.leases.claim("w") is None


def test_a_running_job_is_asked(store: JobStore) -> None:
    """Cancelling and pausing a running job is a wish that its worker reads; cancelling wins."""
    (job,) = accept(store, "a")
    claim = store.leases.claim("w")
    assert claim is not None
    assert store.leases.wish(claim) is None
    store.queue.pause(job.id)
    assert store.leases.wish(claim) == "pause"
    store.queue.resume(job.id)
    assert store.leases.wish(claim) is None
    store.queue.cancel(job.id)
    store.queue.pause(job.id)
    assert store.leases.wish(claim) == "cancel"


def test_what_failed_can_be_tried_again(store: JobStore) -> None:
    """A failed or cancelled job waits again under its id; one that is completed does not."""
    (job,) = accept(store, "a")
    claim = store.leases.claim("w")
    assert claim is not None
    store.leases.finish(claim, Ending("failed", "broken"))
    again = store.queue.retry(job.id)
    assert (again.state, again.message, again.finished) == ("pending", None, None)
    claim = store.leases.claim("w")
    assert claim is not None
    assert claim.job_id == job.id
    store.leases.finish(claim, Ending("completed"))
    for change in (store.queue.retry, store.queue.pause, store.queue.resume):
        with pytest.raises(JobStateError, match="completed"):
            change(job.id)


def test_a_job_of_others_is_unknown(store: JobStore) -> None:
    """Who names a job of another client learns nothing, and changes nothing."""
    (job,) = accept(store, "a")
    for call in (store.queue.cancel, store.queue.pause, store.queue.resume, store.queue.retry, store.history.job):
        with pytest.raises(UnknownJobError, match="there is no job"):
            call(job.id, "b")
    with pytest.raises(UnknownJobError):
        store.history.graph("nothing")
    assert store.history.job(job.id, "a") == job
