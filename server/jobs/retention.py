"""What is forgotten, and when: old jobs, files past a limit, and progress that nobody follows any more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Delete, delete, func, select

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

    def apply(self, limits: Limits, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Forget what is past the limits, and sweep what nothing refers to; soon no more once it is to stop.

        Raises StoreError.
        """
        now = self._clock()
        steps: tuple[Callable[[], bool], ...] = (
            lambda: limits.age_s is not None and self._forget_jobs(now - limits.age_s),
            lambda: limits.artifact_bytes is not None and self._forget_artifacts(limits.artifact_bytes),
            lambda: self._forget_progress(now - PROGRESS_S),
        )
        for step in steps:
            while not is_stopping() and step():
                pass
        if not is_stopping():
            self._workspace.sweep(self._last_ended)
        self._blobs.sweep(self._used_of, is_stopping)

    def artifact_bytes(self) -> int:
        """Bytes of all files that jobs refer to, each content once."""
        once = select(artifacts.c.sha256, artifacts.c.size_bytes).distinct().subquery()
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(once.c.size_bytes), 0))).scalar_one())

    def _forget_jobs(self, before: float) -> bool:
        """Forget some old jobs. Gives whether there may be more; so do the others."""
        is_old = (jobs.c.finished < before) & jobs.c.state.in_(FINAL)
        some = select(jobs.c.id).where(is_old).limit(_BATCH)
        return self._delete(delete(jobs).where(jobs.c.id.in_(some), is_old))  # again: it may have been retried since

    def _forget_progress(self, before: float) -> bool:
        ended = select(events.c.job_id).join(jobs, jobs.c.id == events.c.job_id)
        ended = ended.where(events.c.kind == "progress", jobs.c.finished < before).distinct().limit(_BATCH)
        return self._delete(delete(events).where(events.c.kind == "progress", events.c.job_id.in_(ended)))

    def _forget_artifacts(self, limit_bytes: int) -> bool:
        """Let the files of the oldest jobs go until the rest fits."""
        with_files = select(jobs.c.id).where(jobs.c.id.in_(select(artifacts.c.job_id)), jobs.c.state.in_(FINAL))
        oldest = with_files.order_by(jobs.c.finished).limit(_BATCH).with_for_update()
        if (size_bytes := self.artifact_bytes()) <= limit_bytes:
            return False
        with self._database.write() as connection:
            found = connection.execute(oldest).scalars().all()
            for job_id in found:
                gone = delete(artifacts).where(artifacts.c.job_id == job_id).returning(artifacts.c.size_bytes)
                size_bytes -= sum(connection.execute(gone).scalars())
                if size_bytes <= limit_bytes:  # as far as one can tell: some contents may be others' too
                    break
        return bool(found)

    def _delete(self, statement: Delete) -> bool:
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0

    def _used_of(self, digests: Collection[str]) -> set[str]:
        used = select(artifacts.c.sha256).where(artifacts.c.sha256.in_(digests)).distinct()
        with self._database.read() as connection:
            return set(connection.execute(used).scalars())

    def _last_ended(self, job_id: str) -> int | None:
        with self._database.read() as connection:
            row = connection.execute(select(jobs.c.state, jobs.c.fence).where(jobs.c.id == job_id)).first()
        return None if row is None else int(row.fence) - (row.state == "in_progress")
