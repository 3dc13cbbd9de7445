"""Which workers of this machine live: each holds the lock of a file, which the kernel lets go of with the process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from limner.engine.errors import StoreError

_NAME: Final = re.compile(r"[\w-]{1,100}")


class Presence:
    """A folder of lock files, one for each worker, beside the store.

    What a dead worker had is thus known at once and not only when its lease is over. Of workers on machines that do not
    share the folder, nothing is known: there the lease decides.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self, worker: str) -> FileLock:
        """Say that this process is the worker, for as long as it lives. Raises StoreError."""
        lock = FileLock(self._path(worker))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except (OSError, Timeout) as error:
            raise StoreError(f"the worker cannot take its lock in {self._folder}: {error}") from error
        return lock

    def gone(self, workers: Iterable[str]) -> list[str]:
        """Those workers that were on this machine and have ended."""
        return [worker for worker in workers if self._is_gone(worker)]

    def living(self) -> list[str]:
        """The workers of this machine that live."""
        workers = [file.stem for file in self._folder.glob("*.lock")]
        return [worker for worker in workers if not self._is_gone(worker)]

    def forget(self, worker: str) -> None:
        """Delete the file of a worker that has ended, once nothing asks for it any more."""
        self._path(worker).unlink(missing_ok=True)

    def _is_gone(self, worker: str) -> bool:
        if not _NAME.fullmatch(worker) or not self._path(worker).is_file():  # of others, who know no locks
            return False
        try:
            with FileLock(self._path(worker)).acquire(timeout=0):
                return True
        except Timeout:
            return False

    def _path(self, worker: str) -> Path:
        if not _NAME.fullmatch(worker):
            raise ValueError(f"{worker!r} is no name of a worker")
        return self._folder / f"{worker}.lock"
