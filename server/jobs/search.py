"""Finding jobs by what clients labelled them with, and reading lists from any entry on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, exists, func, insert, literal, select

from limner.server.jobs.database import Database
from limner.server.jobs.history import MAX_PAGE
from limner.server.jobs.job import FINAL, Artifact, Job, State
from limner.server.jobs.rows import JOB_COLUMNS, as_job, in_parts, storable
from limner.server.jobs.tables import artifacts, documents, events, jobs, labels, node_runs

HIDDEN: Final = "hidden"
"""The label of jobs that their client took off its lists. They are kept for as long as others."""


_SORTED_BY: Final[Mapping[str, Sequence[ColumnElement[Any]]]] = {
    "created": (),
    "finished": (jobs.c.finished,),
    "duration": (jobs.c.finished - jobs.c.started,),
}
"""Before their ids, which are in the order in which jobs came."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs, and in which order. Those that were hidden are in no list."""

    client: str | None = None
    """Whose; None is everybody's."""
    states: Collection[State] = ()
    """In which states; in any, where none is given."""
    label: tuple[str, str] | None = None
    """A name and the value that it has."""
    sort_by: Literal["created", "finished", "duration"] = "created"
    is_descending: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed."""

    body: Mapping[str, Any]
    """Of its last event."""
    types: dict[str, str]
    """The types of the nodes that failed."""


class Search:
    """Reads the store as clients of other protocols do. Methods raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: Wanted, offset: int = 0, limit: int = MAX_PAGE) -> list[Job]:
        """The jobs from the ``offset``-th on, from 0."""
        columns = (*_SORTED_BY[wanted.sort_by], jobs.c.id)
        order = [column.desc() if wanted.is_descending else column.asc() for column in columns]
        found = _narrowed(select(*JOB_COLUMNS), wanted).order_by(*order).offset(offset).limit(limit)
        with self._database.read() as connection:
            return [as_job(row) for row in connection.execute(found).mappings()]

    def count(self, wanted: Wanted) -> int:
        """How many jobs those are."""
        with self._database.read() as connection:
            return int(connection.execute(_narrowed(select(func.count()).select_from(jobs), wanted)).scalar_one())

    def labels(self, job_ids: Collection[str]) -> dict[str, dict[str, str]]:
        """By job, its labels."""
        found: dict[str, dict[str, str]] = {job_id: {} for job_id in job_ids}
        with self._database.read() as connection:
            for part in in_parts(job_ids, MAX_PAGE):
                for row in connection.execute(select(labels).where(labels.c.job_id.in_(part))):
                    found[row.job_id][row.name] = row.value
        return found

    def artifacts(self, job_ids: Collection[str]) -> dict[str, list[Artifact]]:
        """By job, the files that it gave, sorted by name."""
        found: dict[str, list[Artifact]] = {job_id: [] for job_id in job_ids}
        with self._database.read() as connection:
            for part in in_parts(job_ids, MAX_PAGE):
                wanted = select(artifacts).where(artifacts.c.job_id.in_(part)).order_by(artifacts.c.name)
                for row in connection.execute(wanted).mappings():
                    fields: Mapping[str, Any] = {name: value for name, value in row.items() if name != "job_id"}
                    found[row["job_id"]].append(Artifact(**fields))
        return found

    def sizes(self, job_ids: Collection[str]) -> dict[str, int]:
        """By job, how many characters its graph and its notes have."""
        size = func.length(documents.c.graph) + func.length(documents.c.notes)
        with self._database.read() as connection:
            return {
                job_id: found
                for part in in_parts(job_ids, MAX_PAGE)
                for job_id, found in connection.execute(
                    select(documents.c.job_id, size).where(documents.c.job_id.in_(part))
                )
            }

    def notes(self, job_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """By job, what its client noted."""
        with self._database.read() as connection:
            return {
                row.job_id: json.loads(row.notes)
                for part in in_parts(job_ids, MAX_PAGE)
                for row in connection.execute(select(documents).where(documents.c.job_id.in_(part)))
            }

    def failures(self, job_ids: Collection[str]) -> dict[str, Failure]:
        """By job, of those that failed, why."""
        found: dict[str, Failure] = {}
        with self._database.read() as connection:
            for part in in_parts(job_ids, MAX_PAGE):
                ends = select(events.c.job_id, events.c.body).where(events.c.job_id.in_(part))
                for row in connection.execute(ends.where(events.c.kind == "finished").order_by(events.c.seq)):
                    found[row.job_id] = Failure(json.loads(row.body), {})
                nodes = select(node_runs.c.job_id, node_runs.c.node, node_runs.c.type)
                nodes = nodes.where(node_runs.c.job_id.in_(part), node_runs.c.state == "failed")
                for job_id, node, kind in connection.execute(nodes):
                    if job_id in found and kind is not None:
                        found[job_id].types[node] = kind
        return found

    def hide(self, client: str | None, job_ids: Collection[str] | None = None) -> None:
        """Take jobs that have ended off the lists of labelled jobs: these, or with None all of them."""
        ended = select(jobs.c.id, literal(HIDDEN), literal("")).where(jobs.c.state.in_(FINAL), ~_is_hidden())
        if client is not None:
            ended = ended.where(jobs.c.client == client)
        parts = [None] if job_ids is None else in_parts(job_ids, MAX_PAGE)
        with self._database.write() as connection:
            for part in parts:
                chosen = ended if part is None else ended.where(jobs.c.id.in_(part))
                connection.execute(insert(labels).from_select(["job_id", "name", "value"], chosen))


def _narrowed(statement: Select[Any], wanted: Wanted) -> Select[Any]:
    statement = statement.where(~_is_hidden())
    if wanted.client is not None:
        statement = statement.where(jobs.c.client == wanted.client)
    if wanted.states:
        statement = statement.where(jobs.c.state.in_(tuple(wanted.states)))
    if wanted.label is not None:
        name, value = wanted.label
        found = select(labels.c.job_id).where(labels.c.name == name, labels.c.value == storable(value))
        statement = statement.where(jobs.c.id.in_(found))
    return statement


def _is_hidden() -> ColumnElement[bool]:
    return exists().where(labels.c.job_id == jobs.c.id, labels.c.name == HIDDEN)
