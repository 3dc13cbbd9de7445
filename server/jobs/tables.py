"""The tables as queries name them. How they come to be, version by version, is in ``migrations.py``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData()


def _job_id() -> Column[str]:
    return Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


queue: Final = Table(
    "queue",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("is_paused", Boolean, nullable=False),
)
"""One row. Whoever changes the order of jobs or takes one holds it, so that on PostgreSQL too one does so at a time."""

jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rank", Integer, nullable=False),  # the priority, negated: everything of the order is ascending
    Column("turn", BigInteger, nullable=False),  # the round in which it is this client's turn: see turns.py
    Column("place", Text, nullable=False),  # among those of one round
    Column("is_paused", Boolean, nullable=False),
    Column("wish", Text),
    Column("worker", Text),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", Float),
    Column("attempts", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("losses", Integer, nullable=False),  # how often its worker vanished and nobody saw why
    Column("last_seq", BigInteger, nullable=False),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("message", Text),
    Column("hint", Text),
    UniqueConstraint("client", "idempotency_key", name="jobs_idempotency"),
    Index("jobs_order", "state", "is_paused", "rank", "turn", "place"),
    Index("jobs_rounds", "client", "state", "is_paused", "rank", "turn", "place"),
    Index("jobs_history", "state", "id"),
    Index("jobs_client", "client", "id"),
    Index("jobs_client_history", "client", "state", "id"),
    Index("jobs_leases", "state", "lease_until"),
    Index("jobs_finished", "finished"),
)

documents: Final = Table(
    "documents",
    metadata,
    _job_id(),
    Column("graph", Text, nullable=False),
    Column("notes", Text, nullable=False),
)
"""What only who runs or shows one job reads: lists stay light."""

labels: Final = Table(
    "labels",
    metadata,
    _job_id(),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("labels_value", "name", "value", "job_id"),
)
"""What clients find their jobs by, besides the id."""

turns: Final = Table(
    "turns",
    metadata,
    Column("client", Text, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("turn", BigInteger, nullable=False),
    Index("turns_latest", "rank", "turn"),
)
"""The last round in which a client was served."""

node_runs: Final = Table(
    "node_runs",
    metadata,
    _job_id(),
    Column("node", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("type", Text),
    Column("lane", Text),
    Column("started", Float),
    Column("seconds", Float),
    Column("step", Integer),
    Column("total", Integer),
    Column("message", Text),
)

artifacts: Final = Table(
    "artifacts",
    metadata,
    _job_id(),
    Column("name", Text, primary_key=True),
    Column("node", Text),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Index("artifacts_content", "sha256", "size_bytes"),
)

events: Final = Table(
    "events",
    metadata,
    _job_id(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index(
        "events_progress",
        "job_id",
        sqlite_where=text("kind = 'progress'"),
        postgresql_where=text("kind = 'progress'"),
    ),
)
