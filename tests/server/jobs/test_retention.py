"""What is forgotten, and what never is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hand_clock import HandClock
from sqlalchemy import update

from limner.server.jobs.blobs import GRACE_S
from limner.server.jobs.database import Database
from limner.server.jobs.job import Artifact, NewJob
from limner.server.jobs.leases import Ending
from limner.server.jobs.retention import PROGRESS_S, Limits
from limner.server.jobs.store import JobStore
from limner.server.jobs.tables import jobs


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
    earlier = running.with_name("0")
    left = store.folder / "running" / "0123" / "1"
    for folder in (earlier, left):
        folder.mkdir(parents=True)
    store.retention.apply(Limits())
    assert running.is_dir()
    assert not earlier.exists()
    assert not left.exists()
    store.leases.give_back(claim, "its worker ended")
    store.retention.apply(Limits())
    assert not running.parent.exists()


def test_an_attempt_that_begins_while_it_is_swept_keeps_its_folder(store: JobStore) -> None:
    """What the sweep learned before the job was taken again is of the attempts before."""
    store.queue.accept(NewJob("{}"))
    first = store.leases.claim("w")
    assert first is not None
    store.workspace.open(first)
    store.leases.died("w", "killed")
    begun: list[Path] = []

    def take_it_meanwhile(job_id: str) -> int:
        second = store.leases.claim("x")
        assert second is not None
        (store.folder / "running" / job_id / str(second.fence)).mkdir()
        begun.append(store.folder / "running" / job_id / str(second.fence))
        return first.fence

    store.workspace.sweep(take_it_meanwhile)
    assert [path.name for path in begun[0].parent.iterdir()] == [begun[0].name]


def test_a_job_that_is_retried_while_old_ones_are_forgotten_stays(store: JobStore, clock: HandClock) -> None:
    """Whichever comes first: a job that waits again is never forgotten."""
    job = store.queue.accept(NewJob("{}"))
    store.queue.cancel(job.id)
    clock.now += 100
    database = Database(store.url)
    with database.write() as connection, ThreadPoolExecutor() as pool:
        connection.execute(update(jobs).values(state="pending", finished=None))
        forgetting = pool.submit(store.retention.apply, Limits(age_s=10))
        time.sleep(0.5)  # so that it waits for this transaction; were it later, there would be nothing to see
        connection.commit()
        forgetting.result()
    database.close()
    assert store.history.job(job.id).state == "pending"


def test_who_is_to_stop_forgets_no_more(store: JobStore, clock: HandClock) -> None:
    """A server that ends does not wait until all that is old was deleted."""
    job = complete(store, b"")
    clock.now += 100
    store.retention.apply(Limits(age_s=10), lambda: True)
    assert store.history.job(job).state == "completed"
