"""The store against a plain model of it: whatever clients, workers and the clock do, in whatever order."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hand_clock import HandClock
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from limner.server.jobs.errors import JobStateError, LeaseLostError
from limner.server.jobs.job import Claim, NewJob, State, Wish
from limner.server.jobs.leases import Ending, Patience
from limner.server.jobs.store import JobStore

LEASE_S, MAX_DEATHS, MAX_LOSSES = 30.0, 3, 4
PICK = st.integers(0, 10**6)


@dataclass
class Plain:
    """What the model knows of a job."""

    client: str
    priority: int
    state: State = "pending"
    is_paused: bool = False
    wish: Wish | None = None
    worker: str | None = None
    until: float = 0.0
    fence: int = 0
    deaths: int = 0
    losses: int = 0
    ends: int = 0
    """How often it was completed."""


class Model(RuleBasedStateMachine):
    """Jobs as a dictionary, and the rules of the store in the simplest words."""

    make_store: Callable[[HandClock], JobStore]

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.store = type(self).make_store(self.clock)
        self.jobs: dict[str, Plain] = {}
        self.claims: list[Claim] = []
        self.waited: dict[str, Counter[str]] = {}
        """For jobs that came first of their client: whose jobs of the same priority were taken before them."""

    def teardown(self) -> None:
        self.store.close()

    def some(self, pick: int) -> str:
        return sorted(self.jobs)[pick % len(self.jobs)]

    @rule(client=st.sampled_from("abc"), priority=st.integers(0, 1))
    def accept(self, client: str, priority: int) -> None:
        is_first = not any(
            job.client == client and job.priority == priority and job.state in ("pending", "in_progress")
            for job in self.jobs.values()
        )
        job = self.store.queue.accept(NewJob("{}", client=client, priority=priority))
        self.jobs[job.id] = Plain(client, priority)
        if is_first:
            self.waited[job.id] = Counter()

    @rule(worker=st.sampled_from("vw"))
    def claim(self, worker: str) -> None:
        for job in self.jobs.values():
            if job.state == "in_progress" and job.until < self.clock.now:
                self.lose(job, is_seen=False)
        waiting = self.store.history.waiting().jobs
        claim = self.store.leases.claim(worker)
        ready = [name for name, job in self.jobs.items() if job.state == "pending" and not job.is_paused]
        if claim is None:
            assert not ready
            return
        job = self.jobs[claim.job_id]
        assert claim.job_id in ready
        assert job.priority == max(self.jobs[name].priority for name in ready)
        assert claim.fence == job.fence + 1
        if waiting and waiting[0].id in ready and len(waiting) == len(ready):
            assert waiting[0].id == claim.job_id, "the listed order is that in which jobs are taken"
        self.watch_turns(claim)
        job.state, job.worker, job.fence, job.until = "in_progress", worker, claim.fence, self.clock.now + LEASE_S
        self.claims.append(claim)

    def watch_turns(self, claim: Claim) -> None:
        """Whoever came with a first job lets every other client have two at most before it."""
        taken = self.jobs[claim.job_id]
        self.waited.pop(claim.job_id, None)
        for name, counter in self.waited.items():
            if self.jobs[name].priority == taken.priority and claim.fence == 1:
                counter[taken.client] += 1
                assert max(counter.values()) <= 2

    def lose(self, job: Plain, *, is_seen: bool) -> None:
        job.deaths, job.losses = job.deaths + is_seen, job.losses + (not is_seen)
        is_too_much = (is_seen and job.deaths >= MAX_DEATHS) or job.losses >= MAX_LOSSES
        job.is_paused = not is_too_much and job.wish == "pause"
        job.state = "cancelled" if job.wish == "cancel" else "failed" if is_too_much else "pending"
        job.worker = job.wish = None

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, how=st.sampled_from(["record", "complete", "fail", "give back", "extend"]))
    def write(self, pick: int, how: str) -> None:
        claim = self.claims[pick % len(self.claims)]
        job = self.jobs[claim.job_id]
        is_held = job.state == "in_progress" and job.fence == claim.fence
        leases = self.store.leases
        calls: dict[str, Callable[[], None]] = {
            "record": lambda: leases.record(claim, [("nodes", {}), ("warning", {})]),
            "complete": lambda: leases.finish(claim, Ending("completed")),
            "fail": lambda: leases.finish(claim, Ending("failed", "broken")),
            "give back": lambda: leases.give_back(claim, "why not"),
            "extend": lambda: leases.extend(claim),
        }
        if not is_held:
            with pytest.raises(LeaseLostError):
                calls[how]()
            return
        calls[how]()
        if how in ("record", "extend"):
            job.until = self.clock.now + LEASE_S
        elif how == "give back":
            job.is_paused, job.state = job.wish == "pause", "cancelled" if job.wish == "cancel" else "pending"
        else:
            job.state = "completed" if how == "complete" else "failed"
            job.ends += how == "complete"
        if how not in ("record", "extend"):
            job.worker = job.wish = None

    @rule(worker=st.sampled_from("vw"), is_seen=st.booleans())
    def worker_ends(self, worker: str, is_seen: bool) -> None:
        if is_seen:
            self.store.leases.died(worker, "killed")
        else:
            self.store.leases.vanished(worker)
        for job in self.jobs.values():
            if job.worker == worker:
                self.lose(job, is_seen=is_seen)

    @rule(seconds=st.sampled_from([1, 20, 40]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        name = self.some(pick)
        self.store.queue.cancel(name)
        job = self.jobs[name]
        self.waited.pop(name, None)
        if job.state == "pending":
            job.state, job.is_paused = "cancelled", False
        elif job.state == "in_progress":
            job.wish = "cancel"

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def pause(self, pick: int) -> None:
        name = self.some(pick)
        job = self.jobs[name]
        self.waited.pop(name, None)
        if job.state not in ("pending", "in_progress"):
            with pytest.raises(JobStateError):
                self.store.queue.pause(name)
            return
        self.store.queue.pause(name)
        if job.state == "pending":
            job.is_paused = True
        else:
            job.wish = job.wish or "pause"

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def resume(self, pick: int) -> None:
        name = self.some(pick)
        job = self.jobs[name]
        if job.state not in ("pending", "in_progress"):
            with pytest.raises(JobStateError):
                self.store.queue.resume(name)
            return
        self.store.queue.resume(name)
        job.is_paused = False
        job.wish = None if job.wish == "pause" else job.wish

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        name = self.some(pick)
        job = self.jobs[name]
        if job.state not in ("failed", "cancelled"):
            with pytest.raises(JobStateError):
                self.store.queue.retry(name)
            return
        self.store.queue.retry(name)
        job.state, job.deaths, job.losses = "pending", 0, 0

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, index=st.integers(0, 4), priority=st.integers(0, 1), is_moved=st.booleans())
    def reorder(self, pick: int, index: int, priority: int, is_moved: bool) -> None:
        name = self.some(pick)
        job = self.jobs[name]
        if job.state != "pending" or (is_moved and job.is_paused):
            return
        self.waited.pop(name, None)
        if not is_moved:
            self.store.queue.set_priority(name, priority)
            job.priority = priority
            return
        before = [(one.id, one.client) for one in self.store.history.waiting().jobs]
        self.store.queue.move(name, index)
        after = [(one.id, one.client) for one in self.store.history.waiting().jobs]
        assert [client for _, client in after] == [client for _, client in before], "nobody else's turn changes"
        own = [
            one for one, _ in after if self.jobs[one].client == job.client and self.jobs[one].priority == job.priority
        ]
        assert own.index(name) == min(index, len(own) - 1)
        for waiting in [one for one in self.waited if self.jobs[one].client == job.client]:
            del self.waited[waiting]  # its client put others before it

    @invariant()
    def agrees(self) -> None:
        """Every job is what the model says, ended at most once, and its events have no gap."""
        counts = Counter(job.state for job in self.jobs.values())
        assert dict(self.store.history.counts()) == dict(counts)
        for name, plain in self.jobs.items():
            job = self.store.history.job(name)
            assert (job.state, job.is_paused, job.wish, job.worker, job.deaths) == (
                (plain.state, plain.is_paused, plain.wish, plain.worker, plain.deaths)
            ), name
            assert plain.ends <= 1
            events = self.store.history.events(name)
            assert [event.seq for event in events] == list(range(1, job.last_seq + 1))


@pytest.fixture
def folders() -> Iterator[Callable[[], Path]]:
    """New folders, in memory where there is such a disk: thousands of transactions each wait for it."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


def run_model(examples: int, make_store: Callable[[HandClock], JobStore]) -> None:
    machine = type("Bound", (Model,), {"make_store": staticmethod(make_store)})
    quiet = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=quiet)


PATIENCE = Patience(LEASE_S, MAX_DEATHS, MAX_LOSSES)


def test_sqlite_is_the_model(folders: Callable[[], Path]) -> None:
    """On SQLite the store does what the model does."""
    run_model(25, lambda clock: JobStore(folders(), clock=clock, patience=PATIENCE))


def test_postgresql_is_the_model(folders: Callable[[], Path], postgres_url: Callable[[], str]) -> None:
    """On PostgreSQL too."""
    run_model(5, lambda clock: JobStore(folders(), postgres_url(), clock=clock, patience=PATIENCE))
