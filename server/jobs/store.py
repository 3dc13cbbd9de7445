"""The store of jobs, put together: a database, and a folder for what jobs write."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from limner.server.jobs.blobs import Blobs
from limner.server.jobs.clock import Clock
from limner.server.jobs.database import Database
from limner.server.jobs.history import History
from limner.server.jobs.leases import Leases, Patience
from limner.server.jobs.presence import Presence
from limner.server.jobs.queue import Queue
from limner.server.jobs.retention import Retention
from limner.server.jobs.search import Search
from limner.server.jobs.workspace import Workspace

DATABASE_NAME = "jobs.db"


class JobStore:
    """All jobs, those that wait, run and have ended. Any number of processes may have the same one open.

    ``folder`` holds what jobs give, and the database, unless ``url`` names another. Threads may share a store; every
    method blocks, for some milliseconds, so that an event loop calls it in a thread. Raises StoreError where the
    database cannot be opened.
    """

    def __init__(
        self, folder: Path, url: str | None = None, *, clock: Clock = time.time, patience: Patience | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.url = url if url is not None else f"sqlite:///{self.folder / DATABASE_NAME}"
        self._database = Database(self.url)
        self.blobs = Blobs(self.folder / "artifacts", clock)
        """What jobs gave."""
        self.workspace = Workspace(self.folder / "running")
        self.presence = Presence(self.folder / "workers")
        self.queue = Queue(self._database, clock)
        """For clients."""
        self.leases = Leases(self._database, clock, patience or Patience())
        """For workers."""
        self.history = History(self._database)
        """For whoever looks."""
        self.search = Search(self._database)
        """For clients that know their jobs by labels, and read lists by the number of an entry."""
        self.retention = Retention(self._database, self.blobs, self.workspace, clock)

    @property
    def file(self) -> Path | None:
        """The database, where it is one file."""
        return Path(str(self._database.url.database)) if self._database.is_sqlite else None

    def probe(self) -> None:
        """Write a little where jobs are kept, and where their results are. Raises StoreError where one cannot be."""
        self.queue.probe()
        self.blobs.probe()

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
