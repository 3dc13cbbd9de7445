"""Backups of the store: made while it is used, put back whole."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from crew import accept, ended, graph, node, real_store, worker

from limner.engine.errors import InputError
from limner.server.jobs.backup import back_up, restore
from limner.server.jobs.store import JobStore

NUMBERS = graph({"a": node("Numbers")})


def count(store: JobStore) -> int:
    return sum(store.history.counts().values())


def test_a_backup_is_one_moment_of_a_store_in_use(tmp_path: Path) -> None:
    """While others write, each backup is whole: what was accepted before is in it, with its events."""
    stop = threading.Event()

    def keep_writing(store: JobStore) -> None:
        while not stop.is_set():
            accept(store, NUMBERS)

    with real_store(tmp_path / "store") as store:
        first = accept(store, NUMBERS)
        thread = threading.Thread(target=keep_writing, args=(store,))
        thread.start()
        try:
            back_up(store, tmp_path / "backup.db")
        finally:
            stop.set()
            thread.join()
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["backup.db"]
    with JobStore(tmp_path / "other", f"sqlite:///{tmp_path / 'backup.db'}") as copy:
        found = copy.history.page(limit=1000).jobs
        assert first in found
        assert all(len(copy.history.events(job.id)) == job.last_seq for job in found)


def test_what_is_restored_runs(tmp_path: Path) -> None:
    """A restored store has the jobs of its backup and no others, and those that waited then run."""
    with real_store(tmp_path / "store") as store:
        job = accept(store, NUMBERS)
        back_up(store, tmp_path / "backup.db")
        later = accept(store, NUMBERS)
        restore(store, tmp_path / "backup.db")
        assert [one.id for one in store.history.page().jobs] == [job.id]
        assert later.id not in {one.id for one in store.history.waiting().jobs}
        with worker(store):
            assert ended(store, job)[0].state == "completed"


def test_nothing_is_restored_under_a_worker(tmp_path: Path) -> None:
    """A job in the hands of a worker would be given to another too: it is refused, and nothing is changed."""
    with real_store(tmp_path / "store") as store:
        back_up(store, tmp_path / "backup.db")
        accept(store, NUMBERS)
        with store.presence.enter("w-1"), pytest.raises(InputError, match="workers have this store open"):
            restore(store, tmp_path / "backup.db")
        assert count(store) == 1
        restore(store, tmp_path / "backup.db")
        assert count(store) == 0


def spoil(kind: str, file: Path) -> None:
    if kind == "text":
        file.write_text("no database" * 100)
    elif kind == "other":
        with sqlite3.connect(file) as other:
            other.execute("CREATE TABLE t (x)")
        other.close()
    elif kind == "newer":
        with sqlite3.connect(file) as newer:
            newer.execute("CREATE TABLE schema_version (version INTEGER)")
            newer.execute("INSERT INTO schema_version VALUES (999)")
        newer.close()


@pytest.mark.parametrize("kind", ["text", "other", "newer", "nothing"])
def test_what_is_no_backup_is_refused(tmp_path: Path, kind: str) -> None:
    """A file that is none, or of a newer release, changes nothing."""
    file = tmp_path / "wrong.db"
    spoil(kind, file)
    with real_store(tmp_path / "store") as store:
        accept(store, NUMBERS)
        with pytest.raises(InputError, match=r"wrong\.db"):
            restore(store, file)
        assert count(store) == 1
