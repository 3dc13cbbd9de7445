"""What happened to a job, in numbered events: written together with the change that they tell of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from limner.server.jobs.job import EventKind, JobEvent
from limner.server.jobs.tables import events, jobs

Told = tuple[EventKind, Mapping[str, Any]]
"""An event that has no number yet: its kind and its body."""


def append(connection: Connection, job_id: str, now: float, told: Sequence[Told]) -> None:
    """Write events under the next numbers, without a gap: the job's row is held until the transaction ends."""
    if not told:
        return
    counted = update(jobs).where(jobs.c.id == job_id).values(last_seq=jobs.c.last_seq + len(told))
    last: int = connection.execute(counted.returning(jobs.c.last_seq)).scalar_one()
    rows = [
        {"job_id": job_id, "seq": seq, "time": now, "kind": kind, "body": to_json(body)}
        for seq, (kind, body) in enumerate(told, start=last - len(told) + 1)
    ]
    connection.execute(insert(events), rows)


def read(connection: Connection, job_id: str, after: int, limit: int) -> list[JobEvent]:
    """The events whose numbers follow ``after``."""
    wanted = select(events).where(events.c.job_id == job_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
    return [JobEvent(row.seq, row.time, row.kind, row.body) for row in connection.execute(wanted)]


def to_json(value: object) -> str:
    """A value as the database keeps it."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
