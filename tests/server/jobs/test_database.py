"""What the store says when its database fails, and how it finds what it looks for."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hand_clock import HandClock
from sqlalchemy import create_engine, event, func, inspect, select, text

from limner.engine.errors import InputError, StoreError
from limner.server.jobs.database import Database
from limner.server.jobs.job import NewJob
from limner.server.jobs.migrations import MIGRATIONS
from limner.server.jobs.search import Wanted
from limner.server.jobs.store import JobStore
from limner.server.jobs.tables import jobs, metadata


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    """A database file that is none, or was torn, is named, with what to do."""
    (tmp_path / "jobs.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"jobs\.db is damaged") as found:
        JobStore(tmp_path)
    assert "backup" in str(found.value.hint)


def test_a_torn_page_is_said(tmp_path: Path) -> None:
    """A file that begins well and is torn later gives an error, never wrong jobs."""
    with JobStore(tmp_path) as store:
        for number in range(200):
            store.queue.accept(NewJob('{"number": "%s"}' % ("x" * 500), name=str(number)))
    file = tmp_path / "jobs.db"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"), JobStore(tmp_path) as store:
        store.history.page()


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    """A job that finds no room is refused; those that were accepted are there, and with room all goes on."""
    with JobStore(tmp_path) as store:
        job = store.queue.accept(NewJob("{}"))
        _set_pages(store, 45)
        with pytest.raises(StoreError, match="is full") as found:
            store.queue.accept(NewJob('"%s"' % ("x" * 1_000_000)))
        assert "make room" in str(found.value.hint)
        assert [one.id for one in store.history.page().jobs] == [job.id]
        _set_pages(store, 1 << 30)
        store.queue.accept(NewJob('"%s"' % ("x" * 1_000_000)))
        assert store.history.counts() == {"pending": 2}


def _set_pages(store: JobStore, count: int) -> None:
    """Let SQLite find the disk full past so many pages."""
    with store._database.read() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {count}")


def test_a_file_that_is_gone_or_another_is_said(tmp_path: Path) -> None:
    """A store whose file was moved away or replaced takes nothing in, which nobody would find; put back, it goes on."""
    with JobStore(tmp_path) as store:
        store.queue.accept(NewJob("{}"))
        (tmp_path / "jobs.db").rename(tmp_path / "aside.db")
        for replaced in (False, True):
            if replaced:
                (tmp_path / "jobs.db").write_bytes(b"")
            with pytest.raises(StoreError, match="deleted or replaced"):
                store.queue.accept(NewJob("{}"))
            with pytest.raises(StoreError, match="deleted or replaced"):
                store.history.page()
        (tmp_path / "aside.db").rename(tmp_path / "jobs.db")
        store.queue.accept(NewJob("{}"))
        assert store.history.counts() == {"pending": 2}


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    """A store in the place of a file is refused in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be in"):
        JobStore(tmp_path / "file" / "store")


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "no url at all"])
def test_a_wrong_url_is_refused(tmp_path: Path, url: str) -> None:
    """What is neither a file of SQLite nor PostgreSQL is refused, and told what would do."""
    with pytest.raises(InputError) as found:
        JobStore(tmp_path, url)
    assert "postgresql+psycopg://" in str(found.value.hint)


def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    """The message names the database and hides what opens it."""
    url = f"postgresql+psycopg://somebody:secret@/jobs?host={tmp_path}"
    with pytest.raises(StoreError, match="failed") as found:
        JobStore(tmp_path, url)
    assert "secret" not in str(found.value)


def test_the_tables_are_what_the_migrations_make(store: JobStore) -> None:
    """Every table, column and index that queries name is there, and no other."""
    with store._database.read() as connection:
        found = inspect(connection)
        names = set(found.get_table_names())
        assert names == {*metadata.tables, "schema_version"}
        for table in metadata.tables.values():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            keys = {column.name for column in table.primary_key}
            assert set(columns) == {column.name for column in table.columns}
            assert {n for n, is_free in columns.items() if is_free} - keys == {c.name for c in table.c if c.nullable}
            indexes = {str(i["name"]): i["column_names"] for i in found.get_indexes(table.name)}
            indexes.pop("jobs_idempotency", None)  # PostgreSQL lists a constraint as an index
            assert indexes == {str(i.name): [c.name for c in i.columns] for i in table.indexes}


def test_a_store_of_a_newer_release_is_refused(database_url: str, tmp_path: Path) -> None:
    """Nothing is changed in a database that a later release has migrated."""
    JobStore(tmp_path, database_url).close()
    JobStore(tmp_path, database_url).close()  # a second time nothing is to be done
    engine = create_engine(database_url)
    with engine.begin() as connection:
        found = connection.execute(text("SELECT version FROM schema_version ORDER BY version")).scalars().all()
        assert found == list(range(1, len(MIGRATIONS) + 1))
        connection.execute(text("INSERT INTO schema_version VALUES (99)"))
    engine.dispose()
    with pytest.raises(StoreError, match="version 99"):
        JobStore(tmp_path, database_url)


def test_a_store_of_the_first_release_is_migrated(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database of an earlier version keeps its jobs, and learns what came since."""
    monkeypatch.setattr("limner.server.jobs.migrations.MIGRATIONS", MIGRATIONS[:1])
    with JobStore(tmp_path, database_url) as store:
        old = store.queue.accept(NewJob('{"a": 1}'))
    monkeypatch.undo()
    with JobStore(tmp_path, database_url) as store:
        new = store.queue.accept(NewJob("{}", labels={"a": "b"}))
        assert store.history.graph(old.id) == '{"a": 1}'
        assert store.search.labels([old.id, new.id]) == {old.id: {}, new.id: {"a": "b"}}


@contextmanager
def queries(store: JobStore) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed within."""
    seen: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(store._database._engine, "before_cursor_execute", note)
    yield seen
    event.remove(store._database._engine, "before_cursor_execute", note)


def test_ten_thousand_waiting_jobs_are_found_by_indexes(tmp_path: Path, clock: HandClock) -> None:
    """No query of a page, a claim or an acceptance reads or sorts a whole table: SQLite's plans say so."""
    with JobStore(tmp_path, clock=clock) as store:
        job = store.queue.accept(NewJob("{}", client="a"))
        _fill(tmp_path / "jobs.db", 10_000)
        with queries(store) as seen:
            page = store.history.waiting(limit=50)
            assert len(page.jobs) == 50
            store.history.waiting(limit=50, after=page.next)
            store.history.waiting(limit=50, client="a")
            store.history.page(limit=50, after=store.history.page(limit=50).next)
            store.history.page(state="pending", limit=50)
            store.history.page(state="pending", client="a", limit=50)
            store.history.page(client="a", limit=50)
            store.leases.is_anything_due()
            claim = store.leases.claim("w")
            assert claim is not None
            store.leases.extend(claim)
            store.leases.wish(claim)
            store.history.events(claim.job_id)
            store.queue.accept(NewJob("{}", client="b", idempotency_key="k"))
            store.queue.cancel(job.id)
            for wanted in (Wanted(), Wanted(client="a"), Wanted(client="a", label=("a", "b"))):
                store.search.page(wanted, limit=50)
            store.search.labels([job.id])
            store.search.artifacts([job.id])
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as database:
            for statement, parameters in seen:
                if not statement.startswith(("SELECT", "UPDATE")) or "queue" in statement:
                    continue
                plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                for line in plan:
                    assert not re.search(r"SCAN (?!CONSTANT)|TEMP B-TREE", line) or _is_key_order(line), (
                        statement,
                        plan,
                    )


def _is_key_order(line: str) -> bool:
    """Whether a scan only follows the primary key backwards, to the end of its page."""
    return bool(re.fullmatch(r"SCAN jobs USING INDEX sqlite_autoindex_jobs_\d+", line))


def test_all_pages_together_are_the_queue(store: JobStore) -> None:
    """Paged, every waiting job is listed once, in order; and every job of the history, the newest first."""
    ids = [store.queue.accept(NewJob("{}", client="abc"[n % 3], priority=n % 2)).id for n in range(25)]
    waiting: list[str] = []
    after = None
    while len(waiting) < 100:
        page = store.history.waiting(limit=4, after=after)
        waiting += [job.id for job in page.jobs]
        if (after := page.next) is None:
            break
    taken = [claim.job_id for _ in ids if (claim := store.leases.claim("w")) is not None]
    assert waiting == taken
    listed: list[str] = []
    while len(listed) < 100:
        page = store.history.page(limit=7, after=after)
        listed += [job.id for job in page.jobs]
        if (after := page.next) is None:
            break
    assert listed == sorted(ids, reverse=True)
    with pytest.raises(InputError, match="1 to 1000"):
        store.history.page(limit=0)


def _fill(file: Path, count: int) -> None:
    """Thousands of waiting jobs, as ``accept`` would write them."""
    with closing(sqlite3.connect(file)) as database:
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO jobs SELECT printf('%032x', i), 'c' || (i % 10), NULL, 'n', 'pending', 0, i / 10,"
            " printf('%032x', i), 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0.0, NULL, NULL, NULL, NULL FROM n",
            (count,),
        )
        missing = "SELECT id, '{}', '{}' FROM jobs WHERE id NOT IN (SELECT job_id FROM documents)"
        database.execute(f"INSERT INTO documents {missing}")
        database.commit()


def test_a_reader_sees_one_state(store: JobStore) -> None:
    """What is written between two questions of one transaction is not seen by the second, on either database."""
    database = Database(store.url)
    with database.read() as connection:
        count = select(func.count()).select_from(jobs)
        assert connection.execute(count).scalar_one() == 0
        store.queue.accept(NewJob("{}"))
        assert connection.execute(count).scalar_one() == 0
    with database.read() as connection:
        assert connection.execute(count).scalar_one() == 1
    database.close()
