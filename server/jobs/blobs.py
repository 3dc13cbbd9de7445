"""Files by the hash of their content: what jobs gave, each content once, however many jobs gave it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import uuid4

from limner.engine.errors import StoreError
from limner.engine.write import write_atomically
from limner.server.jobs.clock import Clock

GRACE_S: Final = 3600.0
"""A file that no job refers to is kept for this long: its job may be about to."""
_PROBE_BYTES: Final = 1 << 16
_BATCH: Final = 500
"""Files that are asked about at a time."""


class Blobs:
    """A folder of files called ``ab/<sha256>``, written whole or not at all. Methods raise StoreError."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def path(self, digest: str) -> Path:
        """Where the content with this hash is, if it is here. Raises ValueError for what is no hash."""
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"{digest!r} is no SHA-256 hash")
        return self._folder / digest[:2] / digest

    def put(self, content: bytes) -> str:
        """Keep a content. Gives its hash."""
        digest = sha256(content).hexdigest()
        with self._said_plainly():
            if not self._touch(digest):
                write_atomically(self.path(digest), content)
                self._touch(digest)
                self._flush_names(digest)
        return digest

    def take(self, file: Path) -> str:
        """Keep a file of the same disk by moving it here. Gives the hash of its content."""
        with self._said_plainly():
            with file.open("rb") as opened:
                digest = file_digest(opened, "sha256").hexdigest()
                os.fsync(opened.fileno())
            if self._touch(digest):
                file.unlink()
            else:
                target = self.path(digest)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
                self._touch(digest)
                self._flush_names(digest)
        return digest

    def probe(self) -> None:
        """Write as much as a small picture has, and take it back."""
        with self._said_plainly():
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(bytes(_PROBE_BYTES))

    def sweep(
        self, used_of: Callable[[Collection[str]], Collection[str]], is_stopping: Callable[[], bool] = lambda: False
    ) -> int:
        """Delete what no job refers to, and what was written only in part. Gives the bytes that became free.

        ``used_of`` says which of some contents jobs refer to.
        """
        freed, old = 0, (file for file in self._files() if not self._is_young(file))
        while not is_stopping() and (batch := list(islice(old, _BATCH))):
            used = used_of([file.name for file in batch if not file.name.startswith(".")])
            for file in batch:
                if file.name.startswith("."):
                    freed += _delete(file)
                elif file.name not in used:
                    freed += self._delete_unless_wanted(file)
        return freed

    def _delete_unless_wanted(self, file: Path) -> int:
        """Delete a file, but for one that was put again since: that changed its time, or will not find it."""
        aside = file.with_name(f".{uuid4().hex}.part")
        with suppress(FileNotFoundError):
            file.replace(aside)
            if not self._is_young(aside):
                return _delete(aside)
            aside.replace(file)
        return 0

    def _touch(self, digest: str) -> bool:
        """Say that a content is wanted now; False where it is not here."""
        now = self._clock()
        try:
            os.utime(self.path(digest), (now, now))
        except FileNotFoundError:
            return False
        return True

    def _flush_names(self, digest: str) -> None:
        """Wait until the disk has the file's name too: the job that refers to it outlives a power cut."""
        if not hasattr(os, "O_DIRECTORY"):  # Windows flushes no folders
            return
        for folder in (self.path(digest).parent, self._folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _is_young(self, file: Path) -> bool:
        try:
            return file.stat().st_mtime > self._clock() - GRACE_S
        except FileNotFoundError:
            return True

    def _files(self) -> Iterator[Path]:
        return (file for file in self._folder.glob("*/*") if file.is_file())

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(f"an artifact cannot be written to {self._folder}: {reason}") from error


def _delete(file: Path) -> int:
    size_bytes = file.stat().st_size
    file.unlink()
    return size_bytes
