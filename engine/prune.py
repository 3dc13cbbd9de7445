"""Keeping a folder under a size: what was used longest ago goes first."""

from __future__ import annotations

from pathlib import Path

LEAVE = 0.8
"""How full a folder is left, so that pruning is rare."""


def prune(folder: Path, max_bytes: int) -> int:
    """Delete the least recently used files where a folder holds more than ``max_bytes``. Gives the bytes freed.

    Use is the time of the last change, which readers move forward. Files that vanish meanwhile are another's doing.
    """
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        except OSError:
            continue
    total = sum(size for _, size, _ in found)
    if total <= max_bytes:
        return 0
    freed = 0
    for _, size, path in sorted(found):
        if total - freed <= max_bytes * LEAVE:
            break
        path.unlink(missing_ok=True)
        freed += size
    return freed
