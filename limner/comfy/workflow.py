"""A workflow as ComfyUI's editor saves it, read with care: what is not as it should be is a fault, never a crash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeGuard

from limner.comfy.names import MAX_ID, too_long
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
FARTHEST: Final = 10_000_000
"""Beyond which no place is meant, in pixels."""
_ROOT: Final = ""


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
        return cls(_text(found.get("title")), (x, y, width, height), _text(found.get("color")))


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


def is_workflow(raw: Any) -> bool:
    """Whether parsed JSON is a workflow of the editor's, and no graph of ours: ours has nodes by their ids."""
    return isinstance(raw, dict) and isinstance(raw.get("nodes"), list) and "limner" not in raw


def is_ours(raw: Any) -> bool:
    """Whether parsed JSON is a workflow that was made of a graph of ours, and still says what that was."""
    return is_workflow(raw) and bool(_own(raw))


def read_workflow(raw: Mapping[str, Any]) -> Workflow:
    """Read parsed JSON of which ``is_workflow`` holds."""
    faults: list[Fault] = []
    subgraphs: dict[str, Level] = {}
    definitions = raw.get("definitions")
    for number, one in enumerate(_list(definitions.get("subgraphs")) if isinstance(definitions, dict) else ()):
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            subgraphs[one["id"]] = _level(one, str(one.get("name") or one["id"])[:200], faults)
        else:
            faults.append(Fault("is no subgraph", ("definitions", "subgraphs", number)))
    groups = tuple(filter(None, map(GroupBox.of, _list(raw.get("groups")))))
    return Workflow(_level(raw, _ROOT, faults), subgraphs, tuple(faults), groups, _own(raw))


def _own(raw: Mapping[str, Any]) -> dict[str, Any]:
    return _dict(_dict(raw.get("extra")).get(OWN))


def _level(raw: Mapping[str, Any], name: str, faults: list[Fault]) -> Level:
    place = f"the subgraph {name}" if name else "the workflow"
    nodes: dict[str, WorkflowNode] = {}
    for number, one in enumerate(_list(raw.get("nodes"))):
        if (node := _node(one)) is None:
            faults.append(Fault(f"number {number} of the nodes of {place} is no node"))
        elif len(node.id) > MAX_ID:
            faults.append(too_long(node.id))
        elif node.id in nodes:
            faults.append(Fault(f"two nodes of {place} have the id {node.id}"))
        else:
            nodes[node.id] = node
    links: dict[str, tuple[str, int]] = {}
    given: dict[int, str] = {}
    output_node = _boundary(raw, "outputNode")
    for number, one in enumerate(_list(raw.get("links"))):
        if (link := _link(one)) is None:
            faults.append(Fault(f"number {number} of the links of {place} is no link"))
            continue
        key, origin, slot, target, target_slot = link
        links[key] = (origin, slot)
        if output_node and target == output_node:
            given[target_slot] = key
    inputs = tuple(_slots(raw.get("inputs"))) if name else ()
    return Level(name, nodes, links, inputs, _boundary(raw, "inputNode"), given)


def _boundary(raw: Mapping[str, Any], name: str) -> str:
    node = raw.get(name)
    return _id(node.get("id")) or "" if isinstance(node, dict) else ""


def _node(raw: Any) -> WorkflowNode | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or (node_id := _id(raw.get("id"))) is None:
        return None
    values = raw.get("widgets_values")
    properties = raw.get("properties")
    title = raw.get("title")
    mode = raw.get("mode")
    return WorkflowNode(
        id=node_id,
        type=raw["type"],
        title=title if isinstance(title, str) else "",
        mode=mode if isinstance(mode, int) else 0,
        inputs=tuple(_slots(raw.get("inputs"))),
        outputs=tuple(_slots(raw.get("outputs"))),
        values=values if isinstance(values, (list, dict)) else (),
        proxies=tuple(_proxies(properties.get("proxyWidgets"))) if isinstance(properties, dict) else (),
        position=_pair(raw.get("pos")) or (0, 0),
        size=_pair(raw.get("size")),
        own_id=_text(_dict(properties).get(NODE_ID)),
        looks=_looks(raw),
    )


def _looks(raw: Mapping[str, Any]) -> dict[str, Any]:
    colors = {name: raw[name] for name in ("color", "bgcolor") if isinstance(raw.get(name), str)}
    return colors | ({"collapsed": True} if _dict(raw.get("flags")).get("collapsed") is True else {})


def _slots(raw: Any) -> Iterator[Slot]:
    for one in _list(raw):
        known = one if isinstance(one, dict) else {}
        yield Slot(
            name=_text(known.get("name")),
            type=_text(known.get("type")),
            label=_text(known.get("label")),
            link=_id(known.get("link")),
        )


def _proxies(raw: Any) -> Iterator[tuple[str, str]]:
    for one in _list(raw):
        if isinstance(one, list) and len(one) >= 2 and isinstance(one[1], str):
            yield (_id(one[0]) or "", one[1])


def _link(raw: Any) -> tuple[str, str, int, str, int] | None:
    """Id, origin and its slot, target and its slot: the editor writes a list, or an object in subgraphs."""
    if isinstance(raw, dict):
        raw = [raw.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
    if not isinstance(raw, list) or len(raw) < 5:
        return None
    key, origin, target = _id(raw[0]), _id(raw[1]), _id(raw[3])
    slot, target_slot = raw[2], raw[4]
    if key is None or origin is None or target is None or not isinstance(slot, int) or not isinstance(target_slot, int):
        return None
    return key, origin, slot, target, target_slot


def _pair(raw: Any) -> tuple[float, float] | None:
    """Two numbers: a list, or an object with numbers as keys in old files."""
    pair = [raw.get("0"), raw.get("1")] if isinstance(raw, dict) else _list(raw)[:2]
    x, y = pair if len(pair) == 2 else (None, None)
    return (x, y) if is_number(x) and is_number(y) else None


def is_number(raw: Any) -> TypeGuard[float]:
    """Whether it is a number that can be a place on a canvas."""
    return type(raw) in (int, float) and abs(raw) < FARTHEST


def _id(raw: Any) -> str | None:
    """Ids are integers or texts."""
    return str(raw) if isinstance(raw, (int, str)) and not isinstance(raw, bool) else None


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else ""


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _dict(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}
