"""A file under a name that nobody has taken."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from limner.engine.write import write_atomically


def write_new(names: Iterable[Path], content: bytes) -> Path:
    """Write under the first name that is free, even where others look for one at the same time. Raises OSError."""
    for path in names:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.open("xb").close()  # takes the name; whoever comes second moves on
        except FileExistsError:
            continue
        try:
            write_atomically(path, content)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
    raise FileExistsError("every name is taken")
