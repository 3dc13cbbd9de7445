"""The node type Graph as lists show it. It has no code to run: the engine puts the graph's own nodes in its place."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node, NodeType


class Graph(Node):
    """Another graph as a node.

    The parameters of that graph are settings of this node, or wires where a value comes from another node; its
    outputs are the ports. `limner templates --json` shows the parameters of the templates.
    """

    category: ClassVar[str] = "graph"

    graph: str = Field(description="A template's name, or a .json file relative to the file that names it.")

    def run(self, ctx: Context) -> None:
        """Never called."""


GRAPH_NODE = NodeType.of(Graph)
