"""Copies of the database of a store in SQLite, made while it is used, and put back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from limner.engine.errors import InputError, StoreError
from limner.server.jobs.migrations import MIGRATIONS
from limner.server.jobs.store import JobStore


def back_up(store: JobStore, file: Path) -> None:
    """Copy the database to a new file, as it is at one moment, while servers and workers go on.

    Raises InputError where the file is there or the store is not in SQLite, StoreError where it cannot be written.
    """
    source = _file_of(store)
    if file.exists():
        raise InputError(f"{file} is there already", hint="give each backup a name of its own")
    part = file.with_name(f".{uuid4().hex}.part")
    try:
        part.touch(mode=0o600)  # prompts are in it
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(part)) as copy:
            live.backup(copy)  # in one step: a reader of one state, which keeps no writer waiting
            copy.execute("PRAGMA journal_mode = DELETE").close()  # one file, with nothing beside it
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the backup cannot be written to {file}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def restore(store: JobStore, file: Path) -> None:
    """Put a backup in the place of all that the database holds, in one transaction.

    Raises InputError where it is no backup, or a worker lives: a job in its hands would be given to another too.
    """
    target = _file_of(store)
    if store.presence.living():
        raise InputError("workers have this store open", hint="end limner serve and limner jobs work first")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            _check(copy, file)
            with closing(sqlite3.connect(target)) as live:
                copy.backup(live)  # all pages at once: a crash leaves what was there
    except sqlite3.Error as error:
        raise InputError(f"{file} is no backup of a job store: {error}") from error


def _check(copy: sqlite3.Connection, file: Path) -> None:
    """Raises InputError for what is damaged, or of a newer release; sqlite3.Error for what is no store."""
    (version,) = copy.execute("SELECT max(version) FROM schema_version").fetchone()
    (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise InputError(f"{file} is damaged: {verdict}")
    if version != len(MIGRATIONS):
        said = f"{file} has version {version} of the tables, and this release makes {len(MIGRATIONS)}"
        raise InputError(said, hint="copy it to the place of jobs.db: it is migrated when the store is opened")


def _file_of(store: JobStore) -> Path:
    if (file := store.file) is None:
        raise InputError("this store is in PostgreSQL", hint="pg_dump and pg_restore make and take its backups")
    return file
