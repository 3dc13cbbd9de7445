"""A file under a name that nobody has taken."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from uuid import uuid4

from limner.engine.errors import InputError
from limner.engine.user_path import user_path
from limner.engine.write import write_atomically


def file_faults(name: str, suffixes: Sequence[str]) -> Iterator[str]:
    """Why a file that is to be written cannot have a name: an ending that is no format, or a folder in its place."""
    try:
        path = user_path(name)
    except InputError as error:
        yield error.message
        return
    if path.suffix.lower() not in suffixes:
        yield f"{name} must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}"
    elif path.is_dir():
        yield f"{name} is a folder"


def write_under(names: Iterator[Path], content: bytes, *, overwrite: bool) -> Path:
    """Write under the first of the names that is free, or in place of what has the first. Raises OSError."""
    if not overwrite:
        return write_new(names, content)
    path = next(names)
    write_atomically(path, content)
    return path


def take_name(part: Path, names: Iterator[Path], *, overwrite: bool) -> Path:
    """Give a complete file the first of the names that is free, or the place of what has the first. Raises OSError."""
    if overwrite:
        path = next(names)
        part.replace(path)
        return path
    for path in names:
        if _take(part, path):
            return path
    raise FileExistsError("every name is taken")


def write_new(names: Iterable[Path], content: bytes) -> Path:
    """Write under the first name that is free, even where others look for one at the same time. Raises OSError.

    The name appears with the whole content behind it: who is killed in between leaves at most a hidden ``.part``.
    """
    part: Path | None = None
    try:
        for path in names:
            if part is None:
                part = path.with_name(f".{uuid4().hex}.part")
                write_atomically(part, content)
            if _take(part, path):
                return path
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    raise FileExistsError("every name is taken")


def numbered(path: Path, number: int | None = None) -> Iterator[Path]:
    """The names to try, in order: the plain one (or that with the number), then those that follow."""
    if number is None:
        yield path
    for following in count(2 if number is None else number):
        yield path.with_name(f"{path.stem}-{following}{path.suffix}")


def _take(part: Path, path: Path) -> bool:
    """Give a complete file a name; False where somebody has it."""
    try:
        os.link(part, path)  # unlike a rename, this never replaces a file
    except FileExistsError:
        return False
    except OSError:  # a file system without links: FAT, some network shares
        return _take_without_links(part, path)
    return True


def _take_without_links(part: Path, path: Path) -> bool:
    try:
        path.open("xb").close()  # takes the name, empty for a moment; whoever comes second moves on
    except FileExistsError:
        return False
    try:
        part.replace(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True
