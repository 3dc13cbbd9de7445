"""Where the commands of ``limner jobs`` find jobs: in a store of this machine, or on a server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from limner.engine.errors import InputError
from limner.jobs_option import open_store
from limner.server_option import open_client

if TYPE_CHECKING:
    from limner import client as remote
    from limner.server import jobs as local

    Job = local.Job | remote.JobInfo
    NodeRun = local.NodeRun | remote.NodeRun
    Artifact = local.Artifact | remote.File

State = Literal["pending", "in_progress", "completed", "failed", "cancelled"]
Change = Literal["cancel", "retry", "pause", "resume"]

LOOK_S: Final = 0.2
"""How often a store is looked at for what happens to a job."""


@dataclass(frozen=True)
class Listing:
    """Some jobs; ``next`` is what those that follow come after."""

    jobs: Sequence[Job]
    next: str | None
    is_paused: bool


@dataclass(frozen=True)
class Whole:
    """A job with what its nodes did, and its files with where they are."""

    job: Job
    nodes: Sequence[NodeRun]
    files: Sequence[tuple[Artifact, str]]


@dataclass(frozen=True)
class Happening:
    """Something that happened to a job, the ``seq``-th from 1. What the kinds mean is in docs/jobs.md."""

    seq: int
    time: float
    kind: str
    body: Mapping[str, Any]


class Jobs(Protocol):
    """What the commands do with jobs. Methods raise InputError; StoreError or RemoteError where nobody answers."""

    def list(self, state: State | None, client: str | None, after: str | None, limit: int) -> Listing:
        """The newest first; pending ones in the order in which they will run."""
        ...

    def find(self, job_id: str) -> Whole:
        """All of one job."""
        ...

    def follow(self, job_id: str) -> Iterator[Happening]:
        """What happened to a job from its first event on, and what happens, until it has ended."""
        ...

    def save(self, job_id: str, folder: Path) -> Sequence[Path]:
        """Copy the files of a job; none is replaced."""
        ...

    def change(self, job_id: str, change: Change) -> Job:
        """Steer a job. Gives how it stands then."""
        ...

    def change_all(self, change: Literal["pause", "resume"]) -> None:
        """Hold the whole queue, or let it go on."""
        ...


@contextmanager
def open_jobs(
    server: str | None, token_file: Path | None, jobs_dir: Path | None = None, url: str | None = None
) -> Iterator[Jobs]:
    """The jobs of a server where one is named, otherwise those of a store of this machine."""
    if server:
        with open_client(server, token_file) as client:
            yield RemoteJobs(client)
        return
    with open_store(jobs_dir, url) as store:
        yield LocalJobs(store)


class LocalJobs:
    """The jobs of a store."""

    def __init__(self, store: local.JobStore) -> None:
        self._store = store

    def list(self, state: State | None, client: str | None, after: str | None, limit: int) -> Listing:
        """Read from the store."""
        history = self._store.history
        if state == "pending":
            page = history.waiting(client=client, after=after, limit=limit)
        else:
            page = history.page(state=state, client=client, after=after, limit=limit)
        return Listing(page.jobs, page.next, history.is_paused())

    def find(self, job_id: str) -> Whole:
        """Read from the store; files are in its folder."""
        history, blobs = self._store.history, self._store.blobs
        files = [(one, str(blobs.path(one.sha256))) for one in history.artifacts(job_id)]
        return Whole(history.job(job_id), history.node_runs(job_id), files)

    def follow(self, job_id: str) -> Iterator[Happening]:
        """Look into the store again and again."""
        history, seq = self._store.history, 0
        while True:
            job = history.job(job_id)
            for event in history.events(job_id, after=seq):
                yield Happening(event.seq, event.time, event.kind, event.body)
                seq = event.seq
            if seq >= job.last_seq:
                if job.finished is not None:
                    return
                time.sleep(LOOK_S)

    def save(self, job_id: str, folder: Path) -> Sequence[Path]:
        """Copy from the store's folder."""
        from limner.nodes._new_file import numbered, write_under

        written = []
        for artifact in self._store.history.artifacts(job_id):
            try:
                content = self._store.blobs.path(artifact.sha256).read_bytes()
                written.append(write_under(numbered(folder / artifact.name), content, overwrite=False))
            except OSError as error:
                raise InputError(f"{artifact.name} cannot be copied to {folder}: {error.strerror or error}") from error
        return written

    def change(self, job_id: str, change: Change) -> Job:
        """Write it into the store, which its workers look at."""
        queue = self._store.queue
        return {"cancel": queue.cancel, "retry": queue.retry, "pause": queue.pause, "resume": queue.resume}[change](
            job_id
        )

    def change_all(self, change: Literal["pause", "resume"]) -> None:
        """Write it into the store."""
        if change == "pause":
            self._store.queue.pause_all()
        else:
            self._store.queue.resume_all()


class RemoteJobs:
    """The jobs of a server that its client may see."""

    def __init__(self, client: remote.Client) -> None:
        self._client = client

    def list(self, state: State | None, client: str | None, after: str | None, limit: int) -> Listing:
        """Ask the server."""
        page = self._client.jobs_page(state, client=client, after=after, limit=limit)
        return Listing(page.jobs, page.next, page.is_paused)

    def find(self, job_id: str) -> Whole:
        """Ask the server; its files are at addresses."""
        job = self._client.job(job_id).detail()
        files = [(one, f"{self._client.url}/v1/artifacts/{one.sha256}") for one in job.artifacts]
        return Whole(job, job.nodes, files)

    def follow(self, job_id: str) -> Iterator[Happening]:
        """Be told by the server; steps that are kept nowhere are left out."""
        for event in self._client.job(job_id).events():
            if event.seq is not None and event.time is not None:
                yield Happening(event.seq, event.time, event.kind, event.body)

    def save(self, job_id: str, folder: Path) -> Sequence[Path]:
        """Fetch them."""
        return self._client.job(job_id).result().save(folder)

    def change(self, job_id: str, change: Change) -> Job:
        """Ask the server for it."""
        job = self._client.job(job_id)
        return {"cancel": job.cancel, "retry": job.retry, "pause": job.pause, "resume": job.resume}[change]()

    def change_all(self, change: Literal["pause", "resume"]) -> None:
        """Ask the server for it, which takes the right to."""
        if change == "pause":
            self._client.pause_queue()
        else:
            self._client.resume_queue()


def as_data(value: object) -> dict[str, Any]:
    """A job, or a part of one, as JSON can hold it."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    found: dict[str, Any] = asdict(value)  # type: ignore[call-overload]  # everything else here is a dataclass
    return found
