"""What is asked of a worker while it runs a job."""

from __future__ import annotations

import threading
import time

from crew import wait_until
from hand_clock import HandClock

from limner.server.jobs.job import Claim, NewJob
from limner.server.jobs.pulse import Pulse
from limner.server.jobs.store import JobStore


def begin(store: JobStore) -> Claim:
    store.queue.accept(NewJob("{}"))
    claim = store.leases.claim("w")
    assert claim is not None
    return claim


def test_who_sees_why_to_stop_sees_since_when(store: JobStore) -> None:
    """At no moment is there a reason without its time: a node that stops at once is never taken for a deaf one."""
    claim, began, seen = begin(store), time.monotonic(), []

    class Watched(Pulse):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "reason" and value is not None:
                seen.append(self.stopped_at)
            super().__setattr__(name, value)

    with Watched(store.leases, claim, threading.Event(), lambda: None):
        store.queue.pause(claim.job_id)
        wait_until(lambda: seen)
    assert seen[0] >= began


def test_a_stop_is_told_once_and_cancelling_wins(store: JobStore) -> None:
    """A drained worker whose job is cancelled meanwhile knows it; the run is asked to stop a single time."""
    claim, drain, stops = begin(store), threading.Event(), list[str]()
    with Pulse(store.leases, claim, drain, lambda: stops.append("stop")) as pulse:
        drain.set()
        wait_until(lambda: pulse.reason == "drain")
        store.queue.cancel(claim.job_id)
        wait_until(lambda: pulse.reason == "cancel")
    assert stops == ["stop"]


def test_a_lost_lease_is_a_reason_to_stop(store: JobStore, clock: HandClock) -> None:
    """When another worker has the job, this one stops."""
    claim = begin(store)
    with Pulse(store.leases, claim, threading.Event(), lambda: None) as pulse:
        clock.now += 60
        assert store.leases.claim("other") is not None
        wait_until(lambda: pulse.reason == "lost")
