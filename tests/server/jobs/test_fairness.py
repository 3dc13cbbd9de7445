"""No client starves, whatever the others do."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hand_clock import HandClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.server.jobs.job import NewJob
from limner.server.jobs.store import JobStore

SHARED = Path("/dev/shm")
CLIENTS = "abcd"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from([*CLIENTS, "claim", "claim"]), max_size=40))
def test_every_other_client_goes_before_at_most_twice(steps: list[str]) -> None:
    """A client's first job is taken after at most two of each other client, however many they have or hand in."""
    with (
        tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as folder,
        JobStore(Path(folder), clock=HandClock()) as store,
    ):
        waiting: dict[str, Counter[str]] = {}
        """By client, for its first waiting job: whose were taken before."""
        left: Counter[str] = Counter()
        for step in steps + ["claim"] * len(steps):
            if step != "claim":
                store.queue.accept(NewJob("{}", client=step))
                if not left[step]:
                    waiting[step] = Counter()
                left[step] += 1
                continue
            claim = store.leases.claim("w")
            assert (claim is None) == (not left.total())
            if claim is None:
                continue
            client = store.history.job(claim.job_id).client
            left[client] -= 1
            waiting.pop(client, None)
            for before in waiting.values():
                before[client] += 1
                assert before[client] <= 2


def test_nobody_starves_behind_clients_that_always_come_back(store: JobStore) -> None:
    """Two clients that hand in a new job whenever one is taken do not keep a third's second job from running."""
    for client in "xyzz":
        store.queue.accept(NewJob("{}", client=client))
    served = Counter[str]()
    for _ in range(8):
        claim = store.leases.claim("w")
        assert claim is not None
        client = store.history.job(claim.job_id).client
        served[client] += 1
        if client != "z":
            store.queue.accept(NewJob("{}", client=client))
    assert served["z"] == 2
