"""Where Limner keeps things on this machine, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$LIMNER_CACHE_DIR``, else ``cache`` in ``$LIMNER_HOME``, else by XDG ``~/.cache/limner``. Safe to delete."""
    if named := os.environ.get("LIMNER_CACHE_DIR"):
        return Path(named).expanduser()
    return _home("cache") or _base("XDG_CACHE_HOME", Path.home() / ".cache") / "limner"


def graphs_folder() -> Path:
    """The user's own templates: ``graphs`` in ``$LIMNER_HOME``, else by XDG ``~/.local/share/limner/graphs``."""
    return _home("graphs") or _base("XDG_DATA_HOME", Path.home() / ".local" / "share") / "limner" / "graphs"


def jobs_folder() -> Path:
    """Jobs and what they gave: ``jobs`` in ``$LIMNER_HOME``, else by XDG ``~/.local/share/limner/jobs``."""
    return _home("jobs") or _base("XDG_DATA_HOME", Path.home() / ".local" / "share") / "limner" / "jobs"


def server_folder() -> Path:
    """What a server keeps: ``server`` in ``$LIMNER_HOME``, else by XDG ``~/.local/share/limner/server``.

    Not the jobs of the command line: those may name any file.
    """
    return _home("server") or _base("XDG_DATA_HOME", Path.home() / ".local" / "share") / "limner" / "server"


def _home(name: str) -> Path | None:
    home = os.environ.get("LIMNER_HOME")
    return Path(home).expanduser() / name if home else None


def _base(variable: str, default: Path) -> Path:
    # the rules say that a relative path there is to be ignored
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else default
