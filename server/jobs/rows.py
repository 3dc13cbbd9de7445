"""From rows to values, and the conditions that several queries share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from sqlalchemy import Connection, RowMapping, select, update

from limner.server.jobs.errors import UnknownJobError
from limner.server.jobs.job import Job
from limner.server.jobs.tables import jobs, node_runs

JOB_COLUMNS: Final = (
    jobs.c.id,
    jobs.c.client,
    jobs.c.name,
    jobs.c.state,
    jobs.c.rank,
    jobs.c.is_paused,
    jobs.c.wish,
    jobs.c.worker,
    jobs.c.attempts,
    jobs.c.deaths,
    jobs.c.last_seq,
    jobs.c.created,
    jobs.c.started,
    jobs.c.finished,
    jobs.c.message,
    jobs.c.hint,
)


def as_job(row: RowMapping) -> Job:
    """A row of ``JOB_COLUMNS`` as a value."""
    fields = dict(row)
    return Job(priority=-fields.pop("rank"), **fields)


def get_job(connection: Connection, job_id: str, client: str | None = None, *, hold: bool = False) -> Job:
    """A job; ``hold`` lets nobody change it until the transaction ends. Raises UnknownJobError, also for one of
    another client than ``client``, if that is given: whether it exists is not to be told.
    """
    wanted = select(*JOB_COLUMNS).where(jobs.c.id == job_id)
    row = connection.execute(wanted.with_for_update() if hold else wanted).mappings().first()
    if row is None or client not in (None, row["client"]):
        raise UnknownJobError(job_id)
    return as_job(row)


def in_parts(job_ids: Collection[str], size: int) -> Iterator[list[str]]:
    """Ids by the handful: a statement takes so many values at most."""
    waiting = iter(job_ids)
    while part := list(islice(waiting, size)):
        yield part


def storable(text: str) -> str:
    r"""A text that every database takes: no zero character, and no half of one, which are written as escapes.

    >>> storable("a\0b")
    'a\\0b'
    """
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def let_nodes_wait(connection: Connection, job_id: str) -> None:
    """Say of a job that waits again that those of its nodes wait with it that have no result."""
    without = [node_runs.c.job_id == job_id, node_runs.c.state.in_(("running", "failed", "skipped"))]
    fresh = dict.fromkeys(("started", "seconds", "message"))
    connection.execute(update(node_runs).where(*without).values(state="waiting", **fresh))
