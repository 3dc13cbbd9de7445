"""What the subgraphs of a workflow stand for: every place where one is used, and where each wire really begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.comfy.names import MAX_ID, too_long
from limner.comfy.widgets import WIDGET_TYPES, is_control
from limner.comfy.workflow import (
    BYPASSED,
    GETTER,
    MUTED,
    PRIMITIVE,
    REROUTE,
    SETTER,
    Level,
    Slot,
    Workflow,
    WorkflowNode,
)
from limner.engine.errors import Fault, GraphError

MAX_NODES: Final = 20_000
_OWN: Final = "-1"
"""How a list of proxies calls the subgraph's node itself."""


@dataclass(eq=False)
class Instance:
    """A canvas at one of the places where it is used."""

    level: Level
    path: str = ""
    """What ids of nodes in it begin with: ``75:112:``."""
    parent: Instance | None = None
    node: WorkflowNode | None = None
    """What stands for it on the canvas of its parent."""
    children: dict[str, Instance] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    """What its node says for inputs of the subgraph."""
    overrides: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    """What its node says for a widget of an inner node."""


@dataclass(frozen=True)
class Origin:
    """Where a wire begins: the full id of a node, and the number of its output."""

    node: str
    slot: int


@dataclass(frozen=True)
class Literal:
    """What stands in the place of a wire: a value."""

    value: Any


def instances(workflow: Workflow) -> list[Instance]:
    """The whole, and every use of a subgraph in it.

    Raises GraphError for one inside itself, for too many nodes, and for ids that get too long by nesting.
    """
    found = [Instance(workflow.root)]
    count = 0
    for instance in found:  # which grows meanwhile
        count += len(instance.level.nodes)
        if count > MAX_NODES:
            raise GraphError([Fault(f"the workflow has more than {MAX_NODES:,} nodes, those of subgraphs counted")])
        for node in instance.level.nodes.values():
            inner = workflow.subgraphs.get(node.type)
            if inner is None or node.mode in (MUTED, BYPASSED):
                continue
            if inner in [outer.level for outer in _outwards(instance)]:
                place = ("nodes", instance.path + node.id)
                raise GraphError([Fault(f"the subgraph {inner.name} contains itself", place)])
            path = f"{instance.path}{node.id}:"
            if len(path) > MAX_ID:  # each node in it has it in its id: a small file would fill the memory
                raise GraphError([too_long(path)])
            child = Instance(inner, path, instance, node, {}, *_values(node, inner))
            instance.children[node.id] = child
            found.append(child)
    return found


def _outwards(instance: Instance) -> Iterator[Instance]:
    one: Instance | None = instance
    while one is not None:
        yield one
        one = one.parent


def _values(node: WorkflowNode, level: Level) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
    """What a subgraph's node says for inputs of the subgraph, and for widgets of its nodes."""
    if isinstance(node.values, Mapping):
        return dict(node.values), {}
    if len(node.values) == len(node.proxies):
        shown = [(pair, value) for pair, value in zip(node.proxies, node.values, strict=True) if not is_control(value)]
        return (
            {name: value for (inner, name), value in shown if inner == _OWN},
            {pair: value for pair, value in shown if pair[0] != _OWN},
        )
    names = [slot.name for slot in level.inputs if slot.type in WIDGET_TYPES]
    values = [value for value in node.values if not is_control(value)]
    return (dict(zip(names, values, strict=True)) if len(names) == len(values) else {}), {}


class Origins:
    """Where wires begin. What was followed once is known: many wires may go through the same reroutes."""

    def __init__(self) -> None:
        self._known: dict[tuple[Instance, str], Origin | Literal | None] = {}

    def of(self, instance: Instance, link: str) -> Origin | Literal | None:
        """Where a wire begins, through subgraphs, reroutes and bypassed nodes; None where nothing comes by it.

        Raises GraphError where it goes in circles.
        """
        way: dict[tuple[Instance, str], None] = {}
        at, step, end = instance, link, None
        while (begin := at.level.links.get(step)) is not None:
            if (at, step) in self._known:
                end = self._known[at, step]
                break
            if (at, step) in way:
                place = at.path + begin[0]
                raise GraphError([Fault(f"the wires form a cycle at {place}", ("nodes", place))])
            way[at, step] = None
            following = _follow(at, *begin)
            if not isinstance(following, tuple):
                end = following
                break
            at, step = following
        self._known |= dict.fromkeys(way, end)
        return end


def _follow(at: Instance, node_id: str, slot: int) -> tuple[Instance, str] | Origin | Literal | None:
    """One step towards where a wire begins: the link to go on with, or the end."""
    if at.node is not None and at.parent is not None and node_id == at.level.input_node:
        return _outside(at, at.parent, at.node, slot)
    node = at.level.nodes.get(node_id)
    if node is None or node.mode == MUTED:
        return None
    if (inner := at.children.get(node_id)) is not None:
        return (inner, inner.level.given[slot]) if slot in inner.level.given else None
    if node.type == GETTER:
        return _got(at, node)
    if node.mode == BYPASSED or node.type in (REROUTE, SETTER):
        link = _passed(node, slot)
        return None if link is None else (at, link)
    if node.type == PRIMITIVE:
        return Literal(node.values[0]) if isinstance(node.values, list) and node.values else None
    return Origin(at.path + node_id, slot)


def _got(at: Instance, getter: WorkflowNode) -> tuple[Instance, str] | None:
    """The link into the node that sets what another gets: on the same canvas, or on one around it."""
    name = getter.first_text
    if name is None:
        return None
    return next(((one, one.level.setters[name]) for one in _outwards(at) if name in one.level.setters), None)


def _outside(at: Instance, parent: Instance, node: WorkflowNode, slot: int) -> tuple[Instance, str] | Literal | None:
    """What an input of a subgraph is wired to where the subgraph is used, or set to."""
    if not 0 <= slot < len(at.level.inputs):
        return None
    name = at.level.inputs[slot].name
    link = next((outer.link for outer in node.inputs if outer.name == name), None)
    if link is not None:
        return parent, link
    return Literal(at.values[name]) if at.values.get(name) is not None else None


def _passed(node: WorkflowNode, slot: int) -> str | None:
    """The link that goes through a node which does nothing: into the input beside the output, or one of its type."""
    if node.type in (REROUTE, SETTER) and node.mode != BYPASSED:
        return node.inputs[0].link if node.inputs else None
    wanted = node.outputs[slot].type if 0 <= slot < len(node.outputs) else ""
    beside = node.inputs[slot : slot + 1] if slot >= 0 else ()
    for one in (*beside, *node.inputs):
        if _is_alike(one, wanted) and one.link is not None:
            return one.link
    return None


def _is_alike(one: Slot, wanted: str) -> bool:
    return one.type in (wanted, "*")
