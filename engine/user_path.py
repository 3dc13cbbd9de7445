"""Paths that users write: names that no file can have are refused in words, before anything looks at the disk."""

from __future__ import annotations

from pathlib import Path

from limner.engine.errors import InputError


def user_path(name: str) -> Path:
    """The path that a user wrote, ``~`` expanded; whether something is there is for the caller to see.

    Raises InputError for a name that no file can have, and for a folder on the way that may not be entered.
    """
    try:
        path = Path(name).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError as error:  # ~somebody, who has no home here
        raise InputError(f"{name}: there is no such home folder") from error
    except ValueError as error:
        raise InputError(f"{name!r} is no path: {error}") from error
    except OSError as error:
        shown = name if len(name) <= 100 else f"{name[:100]}..."
        raise InputError(f"{shown} is not usable: {error.strerror or error}") from error
    return path
