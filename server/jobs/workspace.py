"""The folders in which jobs write while they run: one for each attempt, so that none finds what another left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from limner.engine.errors import StoreError
from limner.server.jobs.job import Claim


class Workspace:
    """Folders called ``<job>/<fence>``, on the disk where what is kept will be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, claim: Claim) -> Path:
        """A new folder for an attempt; those of earlier ones go. Raises StoreError."""
        of_job = self._folder / claim.job_id
        self._drop_earlier(of_job, claim.fence)
        folder = of_job / str(claim.fence)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"no folder can be made for a job in {self._folder}: {error.strerror}") from error
        return folder.resolve()

    def close(self, claim: Claim) -> None:
        """Delete the folder of an attempt, and what is still in it."""
        shutil.rmtree(self._folder / claim.job_id / str(claim.fence), ignore_errors=True)
        self._drop_empty(claim.job_id)

    def sweep(self, last_ended: Callable[[str], int | None]) -> None:
        """Delete what killed workers left. ``last_ended`` gives the last fence of a job under which nobody writes any
        more, so that an attempt that begins meanwhile keeps its folder; None for a job that is forgotten.
        """
        for of_job in _folders(self._folder):
            last = last_ended(of_job.name)
            if last is None:
                shutil.rmtree(of_job, ignore_errors=True)
                continue
            self._drop_earlier(of_job, last + 1)
            self._drop_empty(of_job.name)

    def _drop_earlier(self, of_job: Path, fence: int) -> None:
        for earlier in _folders(of_job):
            if earlier.name.isdecimal() and int(earlier.name) < fence:
                shutil.rmtree(earlier, ignore_errors=True)

    def _drop_empty(self, job_id: str) -> None:
        try:
            (self._folder / job_id).rmdir()
        except OSError:  # another attempt is in it, or it is gone
            return


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.is_dir())
