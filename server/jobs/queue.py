"""What clients do with jobs: hand them in, order them, hold them, end them, try them again."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Select, false, insert, select, update

from limner.engine.errors import InputError
from limner.server.jobs.clock import Clock
from limner.server.jobs.database import Database
from limner.server.jobs.errors import JobStateError
from limner.server.jobs.ids import Ids
from limner.server.jobs.job import FINAL, Job, NewJob, Wish
from limner.server.jobs.journal import append, to_json
from limner.server.jobs.rows import JOB_COLUMNS, as_job, get_job, let_nodes_wait, storable
from limner.server.jobs.tables import documents, jobs, labels, node_runs, queue
from limner.server.jobs.turns import hold_queue, next_turn

MAX_PRIORITY: Final = 1000
_BATCH: Final = 200
"""Jobs a transaction, where many are changed: others may write in between."""


class Queue:
    """The jobs that wait, as clients see them.

    ``client`` in a method is whose job it must be; with None any job is meant. Methods that name a job raise
    UnknownJobError where there is none, and JobStateError where it is not in a state for this. All raise StoreError.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ids = Ids(clock)

    def probe(self) -> None:
        """Write what is there already."""
        with self._database.write() as connection:
            connection.execute(update(queue).values(is_paused=queue.c.is_paused))

    def accept(self, new: NewJob) -> Job:
        """Take a job in. When this is back, the job outlives the process and the machine's power.

        One with the idempotency key of an earlier one is that job, and nothing is added.
        """
        if abs(new.priority) > MAX_PRIORITY:
            raise InputError(f"a priority is from -{MAX_PRIORITY} to {MAX_PRIORITY}, not {new.priority}")
        client, now = storable(new.client), self._clock()
        with self._database.write() as connection:
            hold_queue(connection)
            if new.idempotency_key is not None:
                same = [jobs.c.client == client, jobs.c.idempotency_key == storable(new.idempotency_key)]
                if (known := connection.execute(select(*JOB_COLUMNS).where(*same)).mappings().first()) is not None:
                    return as_job(known)
            job_id = self._ids.new()
            self._insert(connection, job_id, new, now)
            append(connection, job_id, now, [("queued", {"why": "accepted"})])
            return get_job(connection, job_id)

    def _insert(self, connection: Connection, job_id: str, new: NewJob, now: float) -> None:
        client, key, rank = storable(new.client), new.idempotency_key, -new.priority
        row = {
            "id": job_id,
            "client": client,
            "idempotency_key": None if key is None else storable(key),
            "name": storable(new.name),
            "state": "pending",
            "rank": rank,
            "turn": next_turn(connection, client, rank),
            "place": job_id,
            "is_paused": False,
            "fence": 0,
            "attempts": 0,
            "deaths": 0,
            "losses": 0,
            "last_seq": 0,
            "created": now,
        }
        connection.execute(insert(jobs).values(**row))
        connection.execute(insert(documents).values(job_id=job_id, graph=storable(new.graph), notes=to_json(new.notes)))
        rows = [{"job_id": job_id, "name": name, "value": storable(value)} for name, value in new.labels.items()]
        if rows:
            connection.execute(insert(labels), rows)

    def cancel(self, job_id: str, client: str | None = None) -> Job:
        """End a job: at once where it waits; where it runs, its worker is asked to. Of one that has ended, nothing."""
        return self._stop(job_id, client, "cancel")

    def cancel_waiting(self, client: str) -> int:
        """End all jobs of a client that wait, paused ones too, some at a time. Gives how many those were."""
        waiting = select(jobs.c.id).where(jobs.c.client == storable(client), jobs.c.state == "pending").limit(_BATCH)
        count, now = 0, self._clock()
        while True:
            with self._database.write() as connection:
                hold_queue(connection)
                found = connection.execute(waiting).scalars().all()
                for job_id in found:
                    _end_waiting(connection, job_id, now)
            count += len(found)
            if len(found) < _BATCH:
                return count

    def pause(self, job_id: str, client: str | None = None) -> Job:
        """Hold a job back. One that runs stops after its step, and goes on from there when it is resumed."""
        return self._stop(job_id, client, "pause")

    def _stop(self, job_id: str, client: str | None, wish: Wish) -> Job:
        now = self._clock()
        with self._database.write() as connection:
            hold_queue(connection)
            job = get_job(connection, job_id, client, hold=True)
            if job.state == "pending" and wish == "cancel":
                _end_waiting(connection, job_id, now)
            elif job.state == "pending" and not job.is_paused:
                _change(connection, job_id, is_paused=True)
                append(connection, job_id, now, [("queued", {"why": "paused"})])
            elif job.state == "in_progress" and job.wish != "cancel":
                _change(connection, job_id, wish=wish)
            elif job.state in FINAL and wish == "pause":
                raise JobStateError(f"job {job_id} is {job.state}: there is nothing to pause")
            return get_job(connection, job_id)

    def resume(self, job_id: str, client: str | None = None) -> Job:
        """Let a paused job wait for its turn again, behind the others of its client."""
        now = self._clock()
        with self._database.write() as connection:
            hold_queue(connection)
            job = get_job(connection, job_id, client, hold=True)
            if job.state in FINAL:
                raise JobStateError(f"job {job_id} is {job.state}: there is nothing to resume")
            if job.wish == "pause":
                _change(connection, job_id, wish=None)
            elif job.is_paused:
                turn = next_turn(connection, job.client, -job.priority)
                _change(connection, job_id, is_paused=False, turn=turn, place=self._ids.new())
                append(connection, job_id, now, [("queued", {"why": "resumed"})])
            return get_job(connection, job_id)

    def retry(self, job_id: str, client: str | None = None) -> Job:
        """Let a job that failed or was cancelled wait again, under its id. What it finished is not computed again."""
        now = self._clock()
        with self._database.write() as connection:
            hold_queue(connection)
            job = get_job(connection, job_id, client, hold=True)
            if job.state not in ("failed", "cancelled"):
                raise JobStateError(f"job {job_id} is {job.state}: only what failed or was cancelled is tried again")
            turn = next_turn(connection, job.client, -job.priority)
            fresh = dict.fromkeys(("finished", "message", "hint", "wish", "worker", "lease_until"))
            _change(connection, job_id, state="pending", turn=turn, place=self._ids.new(), deaths=0, losses=0, **fresh)
            let_nodes_wait(connection, job_id)
            append(connection, job_id, now, [("queued", {"why": "retried"})])
            return get_job(connection, job_id)

    def set_priority(self, job_id: str, priority: int, client: str | None = None) -> Job:
        """Give a waiting job another priority; there it waits behind the others of its client."""
        if abs(priority) > MAX_PRIORITY:
            raise InputError(f"a priority is from -{MAX_PRIORITY} to {MAX_PRIORITY}, not {priority}")
        with self._database.write() as connection:
            hold_queue(connection)
            job = _waiting(connection, job_id, client)
            if job.priority != priority:
                turn = next_turn(connection, job.client, -priority)
                _change(connection, job_id, rank=-priority, turn=turn, place=self._ids.new())
            return get_job(connection, job_id)

    def move(self, job_id: str, index: int, client: str | None = None) -> Job:
        """Put a waiting job to the place ``index``, from 0, among those of its client and priority that wait.

        The client's turns stay what they are, so that nobody else waits longer or less. Past the end is the end.
        """
        with self._database.write() as connection:
            hold_queue(connection)
            job = _waiting(connection, job_id, client)
            if job.is_paused:
                raise JobStateError(f"job {job_id} is paused: resume it first")
            own = connection.execute(_round_of(job)).all()
            ids = [row.id for row in own if row.id != job_id]
            ids.insert(max(index, 0), job_id)
            for moved, slot in zip(ids, own, strict=True):
                if moved != slot.id:
                    _change(connection, moved, turn=slot.turn, place=slot.place)
            return get_job(connection, job_id)

    def pause_all(self) -> None:
        """Let no job begin. Those that run go on."""
        self._set_paused(is_paused=True)

    def resume_all(self) -> None:
        """Let jobs begin again."""
        self._set_paused(is_paused=False)

    def _set_paused(self, *, is_paused: bool) -> None:
        with self._database.write() as connection:
            connection.execute(update(queue).values(is_paused=is_paused))


def _end_waiting(connection: Connection, job_id: str, now: float) -> None:
    """Cancel a job that waits, and with it the nodes that an earlier attempt left."""
    _change(connection, job_id, state="cancelled", finished=now, is_paused=False)
    left = [node_runs.c.job_id == job_id, node_runs.c.state == "waiting"]
    connection.execute(update(node_runs).where(*left).values(state="skipped", message="cancelled"))
    append(connection, job_id, now, [("finished", {"status": "cancelled"})])


def _waiting(connection: Connection, job_id: str, client: str | None) -> Job:
    job = get_job(connection, job_id, client, hold=True)
    if job.state != "pending":
        raise JobStateError(f"job {job_id} is {job.state}: only waiting jobs have a place in the queue")
    return job


def _round_of(job: Job) -> Select[tuple[str, int, str]]:
    """The places of a client's waiting jobs of one priority, in order."""
    same = [jobs.c.client == job.client, jobs.c.state == "pending", jobs.c.rank == -job.priority]
    wanted = select(jobs.c.id, jobs.c.turn, jobs.c.place).where(*same, jobs.c.is_paused == false())
    return wanted.order_by(jobs.c.turn, jobs.c.place)


def _change(connection: Connection, job_id: str, **values: object) -> None:
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))
