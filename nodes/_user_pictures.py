"""The picture files that users name: which they are, what lies there, and what is wrong with them."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic.config import JsonDict

from limner.engine.errors import InputError
from limner.engine.user_path import may_be_listed, user_path

_MAX_BYTES: Final = 1 << 30
"""A header says nothing of how long a file is; no picture of as many pixels as are read is longer than this."""
A_PICTURE: Final[JsonDict] = {"format": "picture"}
"""In the JSON schema of a setting: it names pictures, which a client of a server may have to bring."""


def named_files(name: str) -> list[str]:
    """The path itself, or the files that a pattern matches: ``*``, ``?`` and ``[abc]`` as in a shell.

    A file that is called so itself comes before any that the pattern matches. What begins with ``~`` still does, so
    that a picture says the same of it on every machine. Raises InputError for a pattern that matches nothing, for one
    of somebody else's graph where files are not to be listed, and for a name that no file can have.
    """
    path = user_path(name)
    if not glob.has_magic(name) or path.exists():
        return [name]
    if not may_be_listed(path):  # before anything is looked at: what lies there is other clients'
        raise InputError(
            f"{name}: patterns match nothing here",
            hint="name each file, or have its folder opened with limner serve --files FOLDER",
        )
    matches = glob.glob(str(path))  # noqa: PTH207  # Path.glob takes no absolute pattern
    found = [match for match in matches if Path(match).is_file() and may_be_listed(Path(match))]
    if not found:
        raise InputError(f"no file matches {name}", hint="mind the folder: paths begin where limner was started")
    home, _, rest = name.partition("/")
    begin = str(Path(home).expanduser()) if home.startswith("~") and rest else ""
    return sorted((f"{home}{match.removeprefix(begin)}" if begin else match for match in found), key=natural)


def natural(name: str) -> tuple[list[str | int], str]:
    """A key that sorts ``shot2`` before ``shot10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def content_of(name: str) -> bytes:
    """A whole file. Raises InputError that names it."""
    try:
        path = user_path(name)
        _check_length(path, name)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error


def _check_length(path: Path, name: str) -> None:
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{name} is larger than 1 GiB", hint="save it again, smaller")


def size_of(name: str) -> tuple[int, int]:
    """Width and height of a picture, from its header. Raises InputError that names the file."""
    from limner.nodes._picture_header import picture_size

    try:
        with user_path(name).open("rb") as file:
            return picture_size(file, name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error


def fault_of(name: str, size: Callable[[str], object] = size_of) -> str | None:
    """Why a file is no picture that ``size`` takes, as far as its header tells; a broken body shows when it is read."""
    if not name.strip():
        return "the name of a picture is empty"
    try:
        path = user_path(name)
        if not path.exists():
            return f"there is no file {name}"
        if not path.is_file():
            return f"{name} is not a file"
        _check_length(path, name)
        size(name)
    except InputError as error:
        return said(error)
    return None


def said(error: InputError) -> str:
    """An error as a fault says it: with what to try."""
    return f"{error.message}: {error.hint}" if error.hint else error.message
