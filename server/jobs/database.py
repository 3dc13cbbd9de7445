"""The database behind the store: SQLite in one file, or PostgreSQL by its URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from limner.engine.errors import InputError, StoreError
from limner.server.jobs.migrations import is_current, migrate

BUSY_S: Final = 30.0
"""How long one writer waits for another."""

_WRITES: Final = "limner_writes"


class Database:
    """Connections to one database. Blocking, for threads: SQLite has no other way, and a worker needs none.

    What the database says of a full disk, a damaged file or a server that is gone becomes a StoreError; so does a file
    that was deleted or replaced since, into which SQLite would go on to write what nobody will find.
    """

    def __init__(self, url: str) -> None:
        self.url = _read_url(url)
        self._where = self.url.database if self.is_sqlite else self.url.render_as_string(hide_password=True)
        if self.is_sqlite:
            _make_folder(Path(str(self.url.database)))
            self._engine = create_engine(self.url, connect_args={"timeout": BUSY_S, "isolation_level": None})
            event.listen(self._engine, "connect", _prepare)
            event.listen(self._engine, "begin", _begin)
            self._reader = self._engine  # a transaction of SQLite sees one state in any case
        else:
            self._engine = _postgres(self.url)
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._writer = self._engine.execution_options(**{_WRITES: True})
        self._identity: tuple[int, int] | None = None
        try:
            self._prepare_tables()
            self._identity = self._find_identity()
        except BaseException:
            self.close()
            raise

    def _prepare_tables(self) -> None:
        with self.read() as connection:
            is_ready = is_current(connection)
        if not is_ready:
            with self.write() as connection:
                migrate(connection)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is one file, which one process at a time writes to."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: it sees one state, and waits for nobody. Raises StoreError."""
        self._refuse_other_file()
        with self._said_plainly(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: whole and durable when the block ends well, otherwise undone. Raises StoreError."""
        self._refuse_other_file()
        with self._said_plainly(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    def _refuse_other_file(self) -> None:
        if self._identity is not None and self._find_identity() != self._identity:
            raise StoreError(
                f"the job store {self._where} was deleted or replaced while it was in use",
                hint="put that file back, or start again to begin with what is there now",
            )

    def _find_identity(self) -> tuple[int, int] | None:
        """Which file it is, whatever it is called; None where there is none."""
        if not self.is_sqlite:
            return None
        try:
            found = Path(str(self.url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
            raise _store_error(cause or error, str(self._where)) from error
        except SQLAlchemyError as error:
            raise StoreError(f"the job store {self._where} failed: {error}") from error


def _read_url(text: str) -> URL:
    """Raises InputError for what is no URL of SQLite or PostgreSQL."""
    hint = "sqlite:////absolute/path/jobs.db or postgresql+psycopg://user:password@host/name"
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except ArgumentError as error:
        raise InputError("the URL of the job store cannot be read", hint=hint) from error
    if backend not in ("sqlite", "postgresql"):
        raise InputError(f"a job store is in SQLite or PostgreSQL, not in {backend}", hint=hint)
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise InputError("a job store in SQLite is a file", hint=hint)
    return url


def _postgres(url: URL) -> Any:
    try:
        return create_engine(url, pool_pre_ping=True)  # the server may have been restarted since
    except (ImportError, NoSuchModuleError) as error:
        raise InputError("PostgreSQL needs a driver", hint='pip install "limner[postgres]"') from error


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the job store cannot be in {path.parent}: {error.strerror}") from error


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    """WAL: readers and the writer do not wait for each other. FULL: what was accepted outlives a power cut too."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """A writer begins as one: were it to become one later, it could not wait for its turn."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")


def _store_error(cause: BaseException, where: str) -> StoreError:
    said = str(cause).strip().partition("\n")[0]
    if "disk is full" in said or "No space left" in said:
        return StoreError(f"the disk of the job store {where} is full", hint="make room: nothing that is there is lost")
    if "malformed" in said or "not a database" in said:
        return StoreError(
            f"the job store {where} is damaged: {said}", hint="put a backup in its place, or move it away to begin anew"
        )
    return StoreError(f"the job store {where} failed: {said or type(cause).__name__}")
