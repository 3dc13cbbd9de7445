"""What workers do with jobs: take one, keep it, tell what happens, end it or give it back.

A claim is a lease with a fence. The lease says how long a silent worker is believed to live. The fence, which grows
with every claim, makes sure that a worker which was only slow, and comes back after another took its job, changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Insert, delete, exists, false, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from limner.server.jobs.clock import Clock
from limner.server.jobs.database import Database
from limner.server.jobs.errors import LeaseLostError
from limner.server.jobs.job import Artifact, Claim, NodeRun, Wish
from limner.server.jobs.journal import Told, append
from limner.server.jobs.rows import let_nodes_wait, storable
from limner.server.jobs.tables import artifacts, documents, jobs, node_runs
from limner.server.jobs.turns import hold_queue, note_served

Status = Literal["completed", "failed", "cancelled"]
_RELEASED: Final[Mapping[str, Any]] = {"worker": None, "lease_until": None, "wish": None}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker is waited for, and how often a job may lose one."""

    lease_s: float = 30.0
    """How long a silent worker is believed to live."""
    stop_s: float = 8.0
    """How long a run may take to stop. A node that does not look whether it should is then ended with its worker."""
    max_deaths: int = 3
    """So often a job may take its worker down, as the supervisor saw it."""
    max_losses: int = 25
    """So often its worker may vanish for other reasons, such as a machine that is switched off."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, with all that is to be kept of it."""

    status: Status
    message: str | None = None
    hint: str | None = None
    faults: Sequence[Mapping[str, Any]] = ()
    """What was wrong with its graph, or with each node that failed."""
    artifacts: Sequence[Artifact] = ()
    seconds: float | None = None


class Leases:
    """The jobs that are in the hands of workers. All methods raise StoreError."""

    def __init__(self, database: Database, clock: Clock, patience: Patience) -> None:
        self._database = database
        self._clock = clock
        self.patience = patience

    def is_anything_due(self) -> bool:
        """Whether ``claim`` might find something, told without keeping others from writing."""
        expired = (jobs.c.state == "in_progress") & (jobs.c.lease_until < self._clock())
        with self._database.read() as connection:
            due = select(or_(exists().where(_claimable()), exists().where(expired)))
            return bool(connection.execute(due).scalar_one())

    def claim(self, worker: str) -> Claim | None:
        """Take the job whose turn it is; None where none waits. Before that, jobs of silent workers wait again."""
        now = self._clock()
        with self._database.write() as connection:
            is_paused = hold_queue(connection)
            self._take_from(connection, (jobs.c.lease_until < now,), now)
            if is_paused:
                return None
            columns = (
                jobs.c.id,
                jobs.c.client,
                jobs.c.rank,
                jobs.c.turn,
                jobs.c.fence,
                jobs.c.attempts,
                jobs.c.created,
            )
            order = (jobs.c.rank, jobs.c.turn, jobs.c.place)
            row = connection.execute(select(*columns).where(_claimable()).order_by(*order).limit(1)).first()
            if row is None:
                return None
            note_served(connection, row.client, row.rank, row.turn)
            taken = (
                update(jobs)
                .where(jobs.c.id == row.id)
                .values(
                    state="in_progress",
                    worker=worker,
                    fence=row.fence + 1,
                    lease_until=now + self.patience.lease_s,
                    attempts=row.attempts + 1,
                    started=now,
                )
            )
            connection.execute(taken)
            append(connection, row.id, now, [("started", {"attempt": row.attempts + 1})])
            graph = connection.execute(select(documents.c.graph).where(documents.c.job_id == row.id)).scalar_one()
            waited_s = None if row.attempts else max(now - row.created, 0.0)
            return Claim(row.id, row.fence + 1, graph, waited_s)

    def extend(self, claim: Claim) -> None:
        """Say that the worker lives. Raises LeaseLostError."""
        with self._database.write() as connection:
            _change(connection, claim, lease_until=self._clock() + self.patience.lease_s)

    def wish(self, claim: Claim) -> Wish | None:
        """What was asked of the job's worker. Raises LeaseLostError."""
        with self._database.read() as connection:
            row = connection.execute(select(jobs.c.wish).where(_is_held(claim))).first()
        if row is None:
            raise LeaseLostError(f"job {claim.job_id} is another worker's, or it ended")
        found: Wish | None = row.wish
        return found

    def record(
        self,
        claim: Claim,
        told: Sequence[Told],
        nodes: Iterable[NodeRun] = (),
        given: Iterable[Artifact] = (),
    ) -> None:
        """Write what happened since the last time. Raises LeaseLostError, and then nothing is written.

        ``given`` are files that can be had before the job ends; its end says anew which there are.
        """
        now = self._clock()
        with self._database.write() as connection:
            _change(connection, claim, lease_until=now + self.patience.lease_s)
            append(connection, claim.job_id, now, told)
            _write_nodes(connection, claim.job_id, nodes)
            _write_artifacts(connection, claim.job_id, given)

    def finish(self, claim: Claim, ending: Ending, told: Sequence[Told] = (), nodes: Iterable[NodeRun] = ()) -> None:
        """End a job, with everything that it gave, at once. Raises LeaseLostError, and then nothing is written."""
        now = self._clock()
        with self._database.write() as connection:
            _change(
                connection,
                claim,
                **_RELEASED,
                state=ending.status,
                finished=now,
                message=None if ending.message is None else storable(ending.message),
                hint=None if ending.hint is None else storable(ending.hint),
            )
            _write_nodes(connection, claim.job_id, nodes)
            connection.execute(delete(artifacts).where(artifacts.c.job_id == claim.job_id))
            if ending.artifacts:
                rows = [{"job_id": claim.job_id} | asdict(artifact) for artifact in ending.artifacts]
                connection.execute(insert(artifacts), rows)
            append(connection, claim.job_id, now, [*told, ("finished", _ending_body(ending))])

    def give_back(self, claim: Claim, why: str, told: Sequence[Told] = (), nodes: Iterable[NodeRun] = ()) -> None:
        """Let a job wait again at its old place; paused or cancelled, if that was asked for. Raises LeaseLostError."""
        now = self._clock()
        with self._database.write() as connection:
            hold_queue(connection)
            held = connection.execute(select(jobs.c.wish).where(_is_held(claim)).with_for_update()).first()
            wish = None if held is None else held.wish
            if wish == "cancel":  # it came when the worker was stopping already, for another reason
                _change(connection, claim, **_RELEASED, state="cancelled", finished=now)
                last: Told = ("finished", {"status": "cancelled"})
            else:
                _change(connection, claim, **_RELEASED, state="pending", is_paused=wish == "pause")
                last, told = ("queued", {"why": "paused" if wish == "pause" else why}), _as_waiting(told)
            _write_nodes(connection, claim.job_id, nodes)
            if wish != "cancel":
                let_nodes_wait(connection, claim.job_id)
            append(connection, claim.job_id, now, [*told, last])

    def workers(self) -> list[str]:
        """The workers that have a job."""
        with self._database.read() as connection:
            found = connection.execute(select(jobs.c.worker).where(jobs.c.state == "in_progress").distinct())
            return [row.worker for row in found]

    def silent(self) -> list[str]:
        """The workers whose lease is over."""
        late = [jobs.c.state == "in_progress", jobs.c.lease_until < self._clock()]
        with self._database.read() as connection:
            return [row.worker for row in connection.execute(select(jobs.c.worker).where(*late).distinct())]

    def died(self, worker: str, how: str) -> None:
        """A worker ended without giving its job back, and was seen to: the job is to blame."""
        self._lose(worker, how)

    def vanished(self, worker: str) -> None:
        """A worker is gone, and nobody knows why."""
        self._lose(worker, None)

    def _lose(self, worker: str, how: str | None) -> None:
        with self._database.write() as connection:
            hold_queue(connection)
            self._take_from(connection, (jobs.c.worker == worker,), self._clock(), how)

    def _take_from(
        self, connection: Connection, whose: tuple[ColumnElement[bool], ...], now: float, how: str | None = None
    ) -> None:
        """Let the jobs of dead workers wait again, but for those that lost too many. The queue is held."""
        columns = (jobs.c.id, jobs.c.deaths, jobs.c.losses, jobs.c.wish)
        lost = select(*columns).where(jobs.c.state == "in_progress", *whose).with_for_update()
        for row in connection.execute(lost).all():
            deaths, losses = row.deaths + (how is not None), row.losses + (how is None)
            values = dict(_RELEASED) | {"deaths": deaths, "losses": losses}
            status, message = self._verdict(deaths, losses, how, is_cancelled=row.wish == "cancel")
            if status is None:
                values |= {"state": "pending", "is_paused": row.wish == "pause"}
                told: Told = ("queued", {"why": "its worker was lost" if how is None else f"its worker died: {how}"})
            else:
                values |= {"state": status, "finished": now, "message": message}
                told = ("finished", {"status": status} | ({} if message is None else {"message": message}))
            if status is None:
                let_nodes_wait(connection, row.id)
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(**values))
            append(connection, row.id, now, [told])

    def _verdict(
        self, deaths: int, losses: int, how: str | None, *, is_cancelled: bool
    ) -> tuple[Status | None, str | None]:
        """How a job ends that lost its worker, and why; None where it is tried again."""
        if is_cancelled:
            return "cancelled", None
        if how is not None and deaths >= self.patience.max_deaths:
            return "failed", f"it took the worker down {deaths} times; the last time: {how}"
        if losses >= self.patience.max_losses:
            return "failed", f"its worker was lost {losses} times"
        return None, None


def _claimable() -> ColumnElement[bool]:
    return (jobs.c.state == "pending") & (jobs.c.is_paused == false())


def _is_held(claim: Claim) -> ColumnElement[bool]:
    return (jobs.c.id == claim.job_id) & (jobs.c.fence == claim.fence) & (jobs.c.state == "in_progress")


def _change(connection: Connection, claim: Claim, **values: Any) -> None:
    """Change a job that is still the worker's. Raises LeaseLostError."""
    changed = connection.execute(update(jobs).where(_is_held(claim)).values(**values))
    if changed.rowcount != 1:
        raise LeaseLostError(f"job {claim.job_id} is another worker's, or it ended")


def _write_nodes(connection: Connection, job_id: str, nodes: Iterable[NodeRun]) -> None:
    rows: list[tuple[Any, ...]] = [(job_id, *node) for node in nodes]
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    names = ("job_id", *NodeRun._fields)
    statement = dialect.insert(node_runs)
    columns = {name: statement.excluded[name] for name in names if name not in ("job_id", "node")}
    put: Insert = statement.on_conflict_do_update(index_elements=["job_id", "node"], set_=columns)
    compiled = put.compile(dialect=connection.dialect, column_keys=list(names))
    if compiled.positiontup is None:  # PostgreSQL's driver takes names
        connection.exec_driver_sql(str(compiled), [dict(zip(names, row, strict=True)) for row in rows])
        return
    assert tuple(compiled.positiontup) == names, "the table has its columns in the order of a node's row"
    connection.exec_driver_sql(str(compiled), rows)  # SQLAlchemy's own way costs several times as much a row


def _as_waiting(told: Sequence[Told]) -> list[Told]:
    """What is told of a job that waits again: nodes that were stopped wait with it."""
    return [
        (kind, {node: _waiting_change(change) for node, change in body.items()}) if kind == "nodes" else (kind, body)
        for kind, body in told
    ]


def _waiting_change(change: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"state": "waiting"} if change.get("state") == "skipped" else change


def _write_artifacts(connection: Connection, job_id: str, given: Iterable[Artifact]) -> None:
    """Those of an earlier attempt give way to those of this one."""
    for artifact in given:
        known = (artifacts.c.job_id == job_id) & (artifacts.c.name == artifact.name)
        connection.execute(delete(artifacts).where(known))
        connection.execute(insert(artifacts).values(job_id=job_id, **asdict(artifact)))


def _ending_body(ending: Ending) -> Mapping[str, Any]:
    body = {
        "status": ending.status,
        "message": ending.message,
        "hint": ending.hint,
        "faults": list(ending.faults),
        "seconds": ending.seconds,
        "artifacts": [asdict(artifact) for artifact in ending.artifacts],
    }
    return {name: value for name, value in body.items() if value not in (None, [])}
