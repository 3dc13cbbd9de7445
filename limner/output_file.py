"""Files that a command line names for what a command writes: what they may be called, and where."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from limner.engine.checked import CheckedGraph
from limner.engine.errors import Fault, InputError
from limner.engine.user_path import user_path
from limner.engine.write import write_atomically

_ELSEWHERE: Final = "name a folder that you may write to"


def folder_fault(path: Path) -> str | None:
    """Why nothing can be written under a path: the nearest folder that is there may not be written to, or is a file.

    >>> folder_fault(Path("/dev/null/a.png"))
    '/dev/null is not a folder'
    """
    there = next((folder for folder in path.absolute().parents if os.path.lexists(folder)), path.absolute())
    if not there.is_dir():
        return f"{there} is not a folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"the folder {there} may not be written to"


def writing_faults(graph: CheckedGraph) -> Iterator[Fault]:
    """The settings of a graph that name a place where nothing can be written; wired ones are known only later."""
    for node in graph.nodes:
        for setting in sorted(node.type.cls.writes_to):
            name = getattr(node.settings, setting, None)
            if isinstance(name, str) and (message := folder_fault(user_path(name))) is not None:
                yield Fault(f"{setting}: {message}", ("nodes", node.id, "settings", setting), _ELSEWHERE)


def refuse_other_files(path: Path, ending: str, is_of_kind: Callable[[bytes], bool]) -> None:
    """Raise InputError where a file of a kind cannot be written: another ending, a folder, a file of another kind.

    ``is_of_kind`` looks at the content that is there: what is something else is somebody's, and is not replaced.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder", hint=f"name a file that ends in {ending}")
    if path.suffix.lower() != ending:
        raise InputError(f"{path} must end in {ending}")
    if path.exists() and not is_of_kind(path.read_bytes()):
        raise InputError(f"{path} is there, and is something else", hint="delete it, or choose another name")
    if (message := folder_fault(path)) is not None:
        raise InputError(f"{path} cannot be written: {message}", hint=_ELSEWHERE)


def write_output(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises InputError."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
