"""What is forgotten, and when: old jobs, files past a limit, and progress that nobody follows any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select

from limner.server.jobs.blobs import Blobs
from limner.server.jobs.clock import Clock
from limner.server.jobs.database import Database
from limner.server.jobs.job import FINAL
from limner.server.jobs.tables import artifacts, events, jobs
from limner.server.jobs.workspace import Workspace

PROGRESS_S: Final = 600.0
"""How long after a job's end its progress can be read."""
_BATCH: Final = 200
"""Jobs a transaction: others may write in between."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept of jobs that have ended; None is everything."""

    age_s: float | None = None
    """Older ones are forgotten, with all that they gave."""
    artifact_bytes: int | None = None
    """Past this, the files of the oldest jobs go; the jobs themselves are still known."""


class Retention:
    """Forgets. Jobs that wait or run are never touched."""

    def __init__(self, database: Database, blobs: Blobs, workspace: Workspace, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._workspace = workspace
        self._clock = clock

    def apply(self, limits: Limits) -> None:
        """Forget what is past the limits, and sweep what nothing refers to. Raises StoreError."""
        if limits.age_s is not None:
            self._forget_jobs(self._clock() - limits.age_s)
        if limits.artifact_bytes is not None:
            self._forget_artifacts(limits.artifact_bytes)
        self._forget_progress(self._clock() - PROGRESS_S)
        self._blobs.sweep(self._is_used)
        self._workspace.sweep(self._is_running)

    def artifact_bytes(self) -> int:
        """Bytes of all files that jobs refer to, each content once."""
        once = select(artifacts.c.sha256, artifacts.c.size_bytes).distinct().subquery()
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(once.c.size_bytes), 0))).scalar_one())

    def _forget_jobs(self, before: float) -> None:
        old = select(jobs.c.id).where(jobs.c.finished < before, jobs.c.state.in_(FINAL)).limit(_BATCH)
        while self._delete_some(delete(jobs).where(jobs.c.id.in_(old))):
            pass

    def _forget_progress(self, before: float) -> None:
        ended = select(events.c.job_id).join(jobs, jobs.c.id == events.c.job_id)
        ended = ended.where(events.c.kind == "progress", jobs.c.finished < before).distinct().limit(_BATCH)
        while self._delete_some(delete(events).where(events.c.kind == "progress", events.c.job_id.in_(ended))):
            pass

    def _forget_artifacts(self, limit_bytes: int) -> None:
        """Let the files of the oldest jobs go until the rest fits."""
        with_files = select(jobs.c.id).where(jobs.c.id.in_(select(artifacts.c.job_id)), jobs.c.state.in_(FINAL))
        oldest = with_files.order_by(jobs.c.finished).limit(_BATCH)
        while (size_bytes := self.artifact_bytes()) > limit_bytes:
            with self._database.write() as connection:
                found = connection.execute(oldest).scalars().all()
                if not found:
                    return
                for job_id in found:
                    gone = delete(artifacts).where(artifacts.c.job_id == job_id).returning(artifacts.c.size_bytes)
                    size_bytes -= sum(connection.execute(gone).scalars())
                    if size_bytes <= limit_bytes:  # as far as one can tell: some contents may be others' too
                        break

    def _delete_some(self, statement: object) -> int:
        with self._database.write() as connection:
            return int(connection.execute(statement).rowcount)  # type: ignore[call-overload]  # any DELETE

    def _is_used(self, digest: str) -> bool:
        with self._database.read() as connection:
            return (
                connection.execute(select(artifacts.c.job_id).where(artifacts.c.sha256 == digest).limit(1)).first()
                is not None
            )

    def _is_running(self, job_id: str) -> bool:
        with self._database.read() as connection:
            state = connection.execute(select(jobs.c.state).where(jobs.c.id == job_id)).scalar()
        return state == "in_progress"
