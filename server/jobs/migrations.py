"""How the database comes to the form that this release knows: numbered steps, each run once, none ever changed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from limner.engine.errors import StoreError

_FIRST: Final = """
CREATE TABLE queue (id INTEGER PRIMARY KEY, is_paused BOOLEAN NOT NULL);
INSERT INTO queue VALUES (1, false);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, client TEXT NOT NULL, idempotency_key TEXT, name TEXT NOT NULL, state TEXT NOT NULL,
    rank INTEGER NOT NULL, turn BIGINT NOT NULL, place TEXT NOT NULL, is_paused BOOLEAN NOT NULL, wish TEXT,
    worker TEXT, fence BIGINT NOT NULL, lease_until DOUBLE PRECISION,
    attempts INTEGER NOT NULL, deaths INTEGER NOT NULL, losses INTEGER NOT NULL, last_seq BIGINT NOT NULL,
    created DOUBLE PRECISION NOT NULL, started DOUBLE PRECISION, finished DOUBLE PRECISION, message TEXT, hint TEXT,
    CONSTRAINT jobs_idempotency UNIQUE (client, idempotency_key)
);
CREATE INDEX jobs_order ON jobs (state, is_paused, rank, turn, place);
CREATE INDEX jobs_rounds ON jobs (client, state, is_paused, rank, turn, place);
CREATE INDEX jobs_history ON jobs (state, id);
CREATE INDEX jobs_client ON jobs (client, id);
CREATE INDEX jobs_client_history ON jobs (client, state, id);
CREATE INDEX jobs_leases ON jobs (state, lease_until);
CREATE INDEX jobs_finished ON jobs (finished);
CREATE TABLE documents (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, graph TEXT NOT NULL, notes TEXT NOT NULL
);
CREATE TABLE turns (client TEXT NOT NULL, rank INTEGER NOT NULL, turn BIGINT NOT NULL, PRIMARY KEY (client, rank));
CREATE INDEX turns_latest ON turns (rank, turn);
CREATE TABLE node_runs (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, node TEXT NOT NULL, state TEXT NOT NULL, type TEXT,
    lane TEXT, started DOUBLE PRECISION, seconds DOUBLE PRECISION, step INTEGER, total INTEGER, message TEXT,
    PRIMARY KEY (job_id, node)
);
CREATE TABLE artifacts (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, name TEXT NOT NULL, node TEXT, sha256 TEXT NOT NULL,
    size_bytes BIGINT NOT NULL, PRIMARY KEY (job_id, name)
);
CREATE INDEX artifacts_content ON artifacts (sha256, size_bytes);
CREATE TABLE events (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, seq BIGINT NOT NULL, time DOUBLE PRECISION NOT NULL,
    kind TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (job_id, seq)
);
CREATE INDEX events_progress ON events (job_id) WHERE kind = 'progress';
"""

_LABELS: Final = """
CREATE TABLE labels (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
);
CREATE INDEX labels_value ON labels (name, value, job_id);
"""

MIGRATIONS: Final = (_FIRST, _LABELS)
"""SQL that SQLite and PostgreSQL both take. Number n leads from version n to n + 1."""

_LOCK: Final = 0x6C696D6E6572
"""Whoever migrates a database of PostgreSQL holds the advisory lock of this number."""


def migrate(connection: Connection) -> None:
    """Bring a database to the newest version, in the transaction of ``connection``, which others wait for.

    Raises StoreError for one that a newer release has changed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
    version = connection.execute(text("SELECT max(version) FROM schema_version")).scalar_one() or 0
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the job store has version {version}, and this release knows {len(MIGRATIONS)}",
            hint="use the release of Limner that wrote it, or a newer one",
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        for statement in filter(str.strip, script.split(";")):
            connection.exec_driver_sql(statement)
        connection.execute(text("INSERT INTO schema_version VALUES (:number)"), {"number": number})


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done: told without waiting for who writes."""
    try:
        found = connection.execute(text("SELECT max(version) FROM schema_version")).scalar_one()
    except DatabaseError:  # no such table
        return False
    return bool(found == len(MIGRATIONS))
