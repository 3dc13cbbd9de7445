"""What is forgotten, and what never is."""

from __future__ import annotations

from hand_clock import HandClock

from limner.server.jobs.blobs import GRACE_S
from limner.server.jobs.job import Artifact, NewJob
from limner.server.jobs.leases import Ending
from limner.server.jobs.retention import PROGRESS_S, Limits
from limner.server.jobs.store import JobStore


def complete(store: JobStore, content: bytes) -> str:
    """A job that gave one file."""
    job = store.queue.accept(NewJob("{}"))
    claim = store.leases.claim("w")
    assert claim is not None
    assert claim.job_id == job.id
    store.leases.record(claim, [("nodes", {}), ("progress", {})])
    artifact = Artifact("a.bin", store.blobs.put(content), len(content))
    store.leases.finish(claim, Ending("completed", artifacts=[artifact]))
    return job.id


def test_old_jobs_are_forgotten_with_all_they_gave(store: JobStore, clock: HandClock) -> None:
    """Past the age a job that ended is gone, its files too, unless a later one gave the same; waiting ones stay."""
    old = complete(store, b"only the old one's")
    complete(store, b"shared")
    clock.now += GRACE_S + 100
    waiting = store.queue.accept(NewJob("{}", priority=-1))
    new = complete(store, b"shared")
    shared = store.history.artifacts(new)[0].sha256
    unshared = store.history.artifacts(old)[0].sha256
    clock.now += GRACE_S + 10
    store.retention.apply(Limits(age_s=GRACE_S + 50))
    assert {job.id for job in store.history.page().jobs} == {new, waiting.id}
    assert store.blobs.path(shared).is_file()
    assert not store.blobs.path(unshared).exists()


def test_the_files_of_the_oldest_jobs_go_first(store: JobStore, clock: HandClock) -> None:
    """Past the bytes old jobs lose their files and are still known; a content of several counts once."""
    first, second, third = (complete(store, bytes([number]) * 100) for number in (1, 2, 2))
    assert store.retention.artifact_bytes() == 200
    clock.now += GRACE_S + 1
    store.retention.apply(Limits(artifact_bytes=200))
    assert len(store.history.artifacts(first)) == 1
    store.retention.apply(Limits(artifact_bytes=150))
    assert [len(store.history.artifacts(job)) for job in (first, second, third)] == [0, 1, 1]
    assert store.history.job(first).state == "completed"
    store.retention.apply(Limits(artifact_bytes=0))
    assert store.retention.artifact_bytes() == 0
    assert not [path for path in (store.folder / "artifacts").rglob("*") if path.is_file()]


def test_progress_is_forgotten_after_a_while(store: JobStore, clock: HandClock) -> None:
    """Some minutes after a job's end only what is essential of its events is there, under the same numbers."""
    job = complete(store, b"")
    before = store.history.events(job)
    store.retention.apply(Limits())
    assert store.history.events(job) == before
    clock.now += PROGRESS_S + 1
    store.retention.apply(Limits())
    assert store.history.events(job) == [event for event in before if event.kind != "progress"]
    assert len(before) == len(store.history.events(job)) + 1


def test_folders_of_killed_workers_are_swept(store: JobStore) -> None:
    """What an attempt left behind goes, unless its job runs."""
    store.queue.accept(NewJob("{}"))
    claim = store.leases.claim("w")
    assert claim is not None
    running = store.workspace.open(claim)
    left = store.folder / "running" / "0123" / "1"
    left.mkdir(parents=True)
    store.retention.apply(Limits())
    assert running.is_dir()
    assert not left.exists()
