"""Which files users mean: a path is one, a pattern such as ``shots/*.png`` is all that match, in natural order."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from limner.engine.errors import InputError
from limner.engine.user_path import user_path


def named_files(name: str) -> list[str]:
    """The path itself, or the files that a pattern matches: ``*``, ``?`` and ``[abc]`` as in a shell.

    A file that is called so itself comes before any that the pattern matches. Raises InputError for a pattern that
    matches nothing, and for a name that no file can have.
    """
    path = user_path(name)
    if not glob.has_magic(name) or path.exists():
        return [name]
    matches = glob.glob(str(path))  # noqa: PTH207  # Path.glob takes no absolute pattern
    found = [match for match in matches if Path(match).is_file()]
    if not found:
        raise InputError(f"no file matches {name}", hint="mind the folder: paths begin where limner was started")
    return sorted(found, key=natural)


def natural(name: str) -> tuple[list[str | int], str]:
    """A key that sorts ``shot2`` before ``shot10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name
