"""What is in a workflow as ComfyUI's editor saves it: canvases with nodes, links and groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from limner.comfy.foreign_json import is_number, text_of
from limner.engine.errors import Fault

MUTED: Final = 2
BYPASSED: Final = 4
NOTES: Final = frozenset({"Note", "MarkdownNote"})
REROUTE: Final = "Reroute"
PRIMITIVE: Final = "PrimitiveNode"
"""A node of the editor's own, which is only a value."""
SETTER: Final = "SetNode"
GETTER: Final = "GetNode"
"""Of an extension, and in no prompt either: a wire without a line, between nodes that name the same."""
OWN: Final = "limner"
"""Under which name a workflow holds what is only ours."""
NODE_ID: Final = "Limner id"
"""The property of a node that says what our files call it."""


_SUBGRAPH: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The type of a node that stands for a subgraph: the id of its definition."""


def is_subgraph(node_type: str) -> bool:
    """Whether a type can only be that of a subgraph, whether or not its definition is there."""
    return _SUBGRAPH.fullmatch(node_type) is not None


@dataclass(frozen=True)
class Slot:
    """An input or an output of a node, or of a subgraph."""

    name: str
    type: str
    label: str = ""
    link: str | None = None


@dataclass(frozen=True)
class WorkflowNode:
    """A node as the editor shows it."""

    id: str
    type: str
    title: str
    mode: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    values: Sequence[Any] | Mapping[str, Any]
    """Of its widgets: in order, or by name."""
    proxies: tuple[tuple[str, str], ...]
    """Of a subgraph's node, which widgets of which inner nodes it shows."""
    position: tuple[float, float]
    size: tuple[float, float] | None = None
    own_id: str = ""
    """What a file of ours calls it."""
    looks: Mapping[str, Any] = field(default_factory=dict)
    """Its colours, and whether it is folded."""

    @property
    def first_text(self) -> str | None:
        """What its first widget says, where that is a text."""
        first = self.values[0] if isinstance(self.values, Sequence) and self.values else None
        return first if isinstance(first, str) else None


@dataclass(frozen=True)
class GroupBox:
    """A frame around nodes."""

    title: str
    bounding: tuple[float, float, float, float]
    color: str = ""

    @classmethod
    def of(cls, raw: Any) -> GroupBox | None:
        """Read one; None where it is none."""
        found = raw if isinstance(raw, dict) else {}
        bounding = found.get("bounding")
        if not isinstance(bounding, list) or len(bounding) != 4 or not all(map(is_number, bounding)):
            return None
        x, y, width, height = bounding
        return cls(text_of(found.get("title")), (x, y, width, height), text_of(found.get("color")))


@dataclass(frozen=True)
class Level:
    """A subgraph, or the whole: what is on one canvas."""

    name: str
    nodes: Mapping[str, WorkflowNode]
    links: Mapping[str, tuple[str, int]]
    """By the id of a link, the node and the number of the output that it begins at."""
    inputs: tuple[Slot, ...] = ()
    input_node: str = ""
    given: Mapping[int, str] = field(default_factory=dict)
    """By the number of an output of the subgraph, the link that leads to it."""

    @cached_property
    def setters(self) -> Mapping[str, str]:
        """By what a SetNode calls it, the link that leads there; of two, the first."""
        found: dict[str, str] = {}
        for node in self.nodes.values():
            link = node.inputs[0].link if node.type == SETTER and node.inputs else None
            if link is not None and (name := node.first_text) is not None:
                found.setdefault(name, link)
        return found


@dataclass(frozen=True)
class Workflow:
    """All canvases."""

    root: Level
    subgraphs: Mapping[str, Level]
    """By the id that nodes have as their type."""
    faults: tuple[Fault, ...]
    groups: tuple[GroupBox, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    """What is only ours."""
