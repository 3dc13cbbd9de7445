"""A graph wherever it is: a template, a file, or inside a picture; also a workflow of ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limner.comfy_graph import find_imported
from limner.engine.context import Provenance
from limner.engine.document import Document
from limner.engine.errors import InputError
from limner.engine.user_path import user_path
from limner.picture_graph import PICTURES, graph_inside
from limner.session import Session


@dataclass(frozen=True)
class Source:
    """A graph as it was found."""

    document: Document
    beside: str | None
    """The name by which it was found, where it is a file or a template: graphs in it are named from its folder."""
    picture: Provenance | None = None
    """What the picture says besides the graph, where it is one."""


def read_source(session: Session, name: str) -> Source:
    """The graph that a template's name, a graph file or a picture stands for. Raises GraphError, InputError."""
    if (imported := find_imported(name, session.registry)) is not None:
        return Source(imported.document, None)
    if Path(name).suffix.lower() not in PICTURES:
        return Source(session.document(name), name)
    path = user_path(name)
    if path.is_dir():
        raise InputError(f"{name} is a folder", hint="name a picture or a graph")
    document, provenance = graph_inside(path)
    return Source(document, None, provenance)
