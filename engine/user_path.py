"""Paths that users write: names that no file can have are refused in words, before anything looks at the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from limner.engine.errors import InputError

CONFINE_ENV: Final = "LIMNER_CONFINE"
"""Folders, separated as in ``PATH``. Where it is set, the graphs are somebody else's: see ``user_path``."""
LISTED_ENV: Final = "LIMNER_CONFINE_LISTED"
"""Those of them in which patterns match; elsewhere a stranger must know what a file is called."""


def user_path(name: str) -> Path:
    """The path that a user wrote, ``~`` expanded; whether something is there is for the caller to see.

    In a process that is confined, by ``LIMNER_CONFINE``, only what really lies below the folders there is given, links
    followed; and a name such as ``owner/model``, where nothing is, because it may stand for something elsewhere.
    Raises InputError for what is outside, whether it exists or not, for a name that no file can have, and for a folder
    on the way that may not be entered.
    """
    try:
        path = Path(name).expanduser()
        if is_confined():
            _refuse_outside(path, name)
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError as error:  # ~somebody, who has no home here
        raise InputError(f"{name}: there is no such home folder") from error
    except ValueError as error:
        raise InputError(f"{name!r} is no path: {error}") from error
    except OSError as error:
        raise InputError(f"{_shown(name)} is not usable: {error.strerror or error}") from error
    return path


def is_confined() -> bool:
    """Whether the graphs of this process are somebody else's, as those of a server are."""
    return CONFINE_ENV in os.environ


def may_be_listed(path: Path) -> bool:
    """Whether a pattern may match this file, links followed: not in what other clients brought or are being given."""
    return not is_confined() or _is_below(Path(os.path.realpath(path)), LISTED_ENV)


def confine(folders: Iterable[Path], listed: Iterable[Path] = ()) -> None:
    """Let graphs name files below these folders only, in this process and those that it starts.

    Below those that are ``listed``, and are among them, patterns match too.
    """
    for variable, chosen in ((CONFINE_ENV, folders), (LISTED_ENV, listed)):
        os.environ[variable] = os.pathsep.join(os.path.realpath(folder) for folder in chosen)


def _is_below(real: Path, variable: str) -> bool:
    folders = filter(None, os.environ.get(variable, "").split(os.pathsep))
    return any(real.is_relative_to(folder) for folder in folders)


def _refuse_outside(path: Path, name: str) -> None:
    """Raise InputError, the same one whatever is there: a stranger learns nothing of what lies outside."""
    real = Path(os.path.realpath(path))
    if _is_below(real, CONFINE_ENV):
        return
    is_plain = not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name
    if is_plain and real.is_relative_to(Path.cwd()) and not os.path.lexists(path):
        return
    raise InputError(
        f"{_shown(name)} is outside the folders of this server",
        hint="upload the file, or have its folder opened with limner serve --files FOLDER",
    )


def _shown(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."
