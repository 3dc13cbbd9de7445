"""What is known of jobs: one, pages of them, and what came of each. Nothing is kept in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, Select, false, func, select, true, tuple_

from limner.engine.errors import InputError
from limner.server.jobs import journal
from limner.server.jobs.database import Database
from limner.server.jobs.job import Artifact, Job, JobEvent, NodeRun, State
from limner.server.jobs.rows import JOB_COLUMNS, as_job, get_job, in_parts
from limner.server.jobs.tables import artifacts, documents, jobs, node_runs, queue

MAX_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs. ``next`` asks for those that follow; None where there are none."""

    jobs: tuple[Job, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the store stands."""

    jobs: Mapping[str, int]
    """How many there are in each state."""
    oldest: float | None
    """When the job was handed in that has waited longest, of those that may begin."""
    is_paused: bool


class History:
    """Reads the store. ``client`` in a method is whose jobs may be seen; None sees all. All raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def job(self, job_id: str, client: str | None = None) -> Job:
        """A job as it stands. Raises UnknownJobError."""
        with self._database.read() as connection:
            return get_job(connection, job_id, client)

    def some(self, job_ids: Collection[str]) -> list[Job]:
        """Those of these jobs that there are."""
        found: list[Job] = []
        with self._database.read() as connection:
            for part in in_parts(job_ids, MAX_PAGE):
                rows = connection.execute(select(*JOB_COLUMNS).where(jobs.c.id.in_(part))).mappings()
                found += [as_job(row) for row in rows]
        return found

    def ended_since(self, time_s: float) -> list[Job]:
        """The jobs that ended then or later, the latest first; of very many not all."""
        wanted = select(*JOB_COLUMNS).where(jobs.c.finished >= time_s).order_by(jobs.c.finished.desc()).limit(MAX_PAGE)
        with self._database.read() as connection:
            return [as_job(row) for row in connection.execute(wanted).mappings()]

    def page(
        self, *, state: State | None = None, client: str | None = None, after: str | None = None, limit: int = 100
    ) -> Page:
        """Jobs, the newest first. ``after`` is the ``next`` of the page before."""
        wanted = select(*JOB_COLUMNS).order_by(jobs.c.id.desc()).limit(_checked(limit) + 1)
        if state is not None:
            wanted = wanted.where(jobs.c.state == state)
        if client is not None:
            wanted = wanted.where(jobs.c.client == client)
        if after is not None:
            wanted = wanted.where(jobs.c.id < after)
        with self._database.read() as connection:
            rows = connection.execute(wanted).mappings().all()
        return _page(rows, limit)

    def waiting(
        self, *, client: str | None = None, is_paused: bool = False, after: str | None = None, limit: int = 100
    ) -> Page:
        """Waiting jobs in the order in which they will run, or those that are paused. ``after`` is the job before."""
        order = (jobs.c.rank, jobs.c.turn, jobs.c.place)
        wanted = select(*JOB_COLUMNS).where(jobs.c.state == "pending")
        wanted = wanted.where(jobs.c.is_paused == (true() if is_paused else false()))
        wanted = wanted.order_by(*order).limit(_checked(limit) + 1)
        if client is not None:
            wanted = wanted.where(jobs.c.client == client)
        with self._database.read() as connection:
            if after is not None:
                place = connection.execute(select(*order).where(jobs.c.id == after)).first()
                if place is None:
                    raise InputError(f"there is no job {after} to go on after")
                wanted = wanted.where(tuple_(*order) > tuple_(*place))
            rows = connection.execute(wanted).mappings().all()
        return _page(rows, limit)

    def counts(self) -> Mapping[str, int]:
        """How many jobs there are in each state."""
        with self._database.read() as connection:
            found = connection.execute(select(jobs.c.state, func.count().label("jobs")).group_by(jobs.c.state))
            return {row.state: row.jobs for row in found}

    def standing(self) -> Standing:
        """What who runs a server wants to know at a glance."""
        waiting = (jobs.c.state == "pending") & (jobs.c.is_paused == false())
        with self._database.read() as connection:
            oldest = connection.execute(select(func.min(jobs.c.created)).where(waiting)).scalar()
        return Standing(self.counts(), oldest, self.is_paused())

    def count_waiting(self, client: str) -> int:
        """How many jobs of a client wait, also paused ones."""
        own = select(func.count()).where(jobs.c.client == client, jobs.c.state == "pending")
        with self._database.read() as connection:
            return int(connection.execute(own).scalar_one())

    def is_paused(self) -> bool:
        """Whether the whole queue is."""
        with self._database.read() as connection:
            return bool(connection.execute(select(queue.c.is_paused)).scalar_one())

    def graph(self, job_id: str, client: str | None = None) -> str:
        """The document of a job, as JSON text. Raises UnknownJobError."""
        return str(self._document(job_id, client)["graph"])

    def notes(self, job_id: str, client: str | None = None) -> Mapping[str, Any]:
        """What the client noted when it handed the job in. Raises UnknownJobError."""
        found: Mapping[str, Any] = json.loads(self._document(job_id, client)["notes"])
        return found

    def _document(self, job_id: str, client: str | None) -> RowMapping:
        with self._database.read() as connection:
            get_job(connection, job_id, client)
            return connection.execute(select(documents).where(documents.c.job_id == job_id)).mappings().one()

    def node_runs(self, job_id: str, client: str | None = None) -> list[NodeRun]:
        """What each node did last, sorted by id. Raises UnknownJobError."""
        wanted = select(node_runs).where(node_runs.c.job_id == job_id).order_by(node_runs.c.node)
        return [NodeRun(**row) for row in self._of_job(job_id, client, wanted)]

    def artifacts(self, job_id: str, client: str | None = None) -> list[Artifact]:
        """The files that a job gave, sorted by name. Raises UnknownJobError."""
        wanted = select(artifacts).where(artifacts.c.job_id == job_id).order_by(artifacts.c.name)
        return [Artifact(**row) for row in self._of_job(job_id, client, wanted)]

    def artifact(self, sha256: str, client: str | None = None) -> Artifact | None:
        """A file with this content that a job gave; None where none did that the client may see."""
        wanted = select(artifacts).where(artifacts.c.sha256 == sha256)
        if client is not None:
            wanted = wanted.join(jobs, jobs.c.id == artifacts.c.job_id).where(jobs.c.client == client)
        with self._database.read() as connection:
            row = connection.execute(wanted.limit(1)).mappings().first()
        return None if row is None else Artifact(**{name: value for name, value in row.items() if name != "job_id"})

    def events(self, job_id: str, after: int = 0, limit: int = 1000, client: str | None = None) -> list[JobEvent]:
        """What happened to a job since its event ``after``, in order. Raises UnknownJobError.

        While it is followed no number is missing. Some time after its end its ``progress`` is forgotten.
        """
        with self._database.read() as connection:
            get_job(connection, job_id, client)
            return journal.read(connection, job_id, after, _checked(limit))

    def _of_job(self, job_id: str, client: str | None, wanted: Select[Any]) -> list[dict[str, Any]]:
        with self._database.read() as connection:
            get_job(connection, job_id, client)
            found = connection.execute(wanted).mappings()
            return [{name: value for name, value in row.items() if name != "job_id"} for row in found]


def _checked(limit: int) -> int:
    if not 1 <= limit <= MAX_PAGE:
        raise InputError(f"a page has 1 to {MAX_PAGE} entries, not {limit}")
    return limit


def _page(rows: Sequence[RowMapping], limit: int) -> Page:
    found = tuple(as_job(row) for row in rows[:limit])
    return Page(found, found[-1].id if len(rows) > limit else None)
