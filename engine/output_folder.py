"""Where nodes write when that is not the graph's to say: a folder of the run's own, which no path leads out of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from limner.engine.checked import CheckedGraph
from limner.engine.errors import Fault, InputError
from limner.engine.node import Node

_HINT = "for example outputs/image.png: it is written into a folder of the run's own"


def leads_out(name: str) -> bool:
    r"""Whether a path could name something outside the folder that it is taken from, on any system.

    >>> [leads_out(name) for name in ("outputs/image.png", "../a.png", "/a.png", "~/a.png", "a\\b.png", "C:a.png")]
    [False, True, True, True, True, True]
    """
    if name.startswith(("/", "~")) or re.search(r"[\\\0]", name) or PureWindowsPath(name).drive:
        return True
    return ".." in name.split("/")


def escapes(graph: CheckedGraph) -> Iterator[Fault]:
    """The settings of a graph that name a place outside; those that are wired are only known while it runs."""
    for node in graph.nodes:
        for setting in sorted(node.type.cls.writes_to):
            name = getattr(node.settings, setting, None)
            if isinstance(name, str) and leads_out(name):
                yield Fault(f"{name!r} leads out of the run's folder", ("nodes", node.id, "settings", setting), _HINT)


def place(node: Node, folder: Path) -> Node:
    """The node, writing into ``folder``. Raises InputError where one of its paths leads out."""
    placed = {}
    for setting in node.writes_to:
        name = getattr(node, setting)
        if leads_out(name):
            raise InputError(f"{setting}: {name!r} leads out of the run's folder", hint=_HINT)
        placed[setting] = str(folder / name)
    return node.model_copy(update=placed)
