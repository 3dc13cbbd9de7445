"""How much memory Linux lets this process and its like have: containers and services often get less than there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def memory_limit(root: Path = Path("/")) -> int | None:
    """The least limit of the control groups that this process is in, in bytes; None where there is none.

    Version 2 gives them in ``memory.max``, version 1 in ``memory.limit_in_bytes``.
    """
    return min(filter(None, map(_number, _files(root))), default=None)


def _files(root: Path) -> Iterator[Path]:
    """Where the limits of each group stand. Inside a container, its own group is often seen as the topmost."""
    mounted = root / "sys/fs/cgroup"
    for controllers, group in _groups(root / "proc/self/cgroup"):
        if controllers == "":
            top, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        within = Path(group.lstrip("/"))
        for folder in (within, *within.parents):
            yield top / folder / name


def _groups(path: Path) -> Iterator[tuple[str, str]]:
    """Controllers and path of each group. See cgroups(7)."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        yield controllers, group


def _number(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdigit() else None  # "max" is no limit
