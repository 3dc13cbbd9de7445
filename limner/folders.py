"""Where Limner keeps things on this machine, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$LIMNER_CACHE_DIR``, else ``$XDG_CACHE_HOME/limner``, else ``~/.cache/limner``. Safe to delete."""
    if named := os.environ.get("LIMNER_CACHE_DIR"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the rules say that a relative path there is to be ignored
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "limner"
