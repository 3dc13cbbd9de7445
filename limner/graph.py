"""The graph that scripts compose: the engine's, with the templates at hand."""

from __future__ import annotations

from limner.engine import graph
from limner.engine.expand import Library
from limner.graphs.library import GraphLibrary


class Graph(graph.Graph):
    """A graph under construction, which can take the templates, and graph files, as nodes.

    >>> pair = Graph("pair")
    >>> day = pair.add_graph("text_to_image", id="day", prompt="a yellow circle on a blue background")
    >>> day.image
    <output day.image>
    """

    def __init__(self, name: str = "graph", description: str = "", *, library: Library | None = None) -> None:
        super().__init__(name, description, library=library if library is not None else GraphLibrary())
