"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def new_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """An empty folder to fill beside ``path``, which takes that name when the block ends well. Raises OSError.

    A folder that has the name is replaced only with ``overwrite``; until then it stays as it was. Who is killed in
    between leaves at most a hidden ``.part``, or the old folder as a hidden ``.old``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, old = (path.with_name(f".{uuid4().hex}.{kind}") for kind in ("part", "old"))
    part.mkdir()
    try:
        yield part
        for file in part.rglob("*"):
            _flush(file)
        if overwrite and path.exists():
            path.rename(old)
        part.rename(path)  # fails where somebody else has made a folder of that name, unless it is empty
        _flush(path.parent)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names where the system knows that."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
