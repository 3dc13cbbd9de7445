"""A graph that is known to be right: what checking gives, and planning takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel

from limner.engine.document import Document
from limner.engine.node import Node, NodeType
from limner.engine.offload import AUTO, Offload


class Wire(NamedTuple):
    """What enters one input or setting of a node: outputs of earlier nodes, in order."""

    port: str
    sources: tuple[tuple[int, int], ...]
    """Index of the node in the graph's order, and of its output."""
    is_many: bool = False
    is_setting: bool = False


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A node that is known to be right: its type, its settings, and where its wires come from."""

    id: str
    type: NodeType
    settings: BaseModel
    """The node itself; where settings are wired, only the other settings."""
    wires: tuple[Wire, ...]
    device: str
    offload: Offload = AUTO

    @property
    def node(self) -> Node | None:
        """The node, where its settings are all known before running."""
        return self.settings if isinstance(self.settings, Node) else None


@dataclass(frozen=True)
class CheckedGraph:
    """A graph without faults, in an order in which it can run."""

    document: Document
    nodes: tuple[CheckedNode, ...]
    """In topological order: what a node needs stands before it."""
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of a document with Graph nodes: what its parameters set in nodes that run; without those that set none."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Of the same: the wires that its outputs stand for."""
