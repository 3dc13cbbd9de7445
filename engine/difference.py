"""What differs between two graphs in what they mean: the order of keys, and defaults written out, are no difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import PydanticUndefined, to_jsonable_python

from limner.engine.document import Document, NodeDocument, parse
from limner.engine.errors import LimnerError
from limner.engine.expand import GRAPH_TYPE, Library, targets_of
from limner.engine.matching import match
from limner.engine.node import NodeType
from limner.engine.parameters import describe
from limner.engine.registry import Registry

ABSENT: Final = None
"""Where a graph has nothing in that place; what is null there is ``Value(None)``."""


@dataclass(frozen=True)
class Value:
    """What stands in a place of a graph."""

    value: Any
    is_default: bool = False
    """Whether it is so because nothing else is said."""


@dataclass(frozen=True)
class Change:
    """One place that is not the same in both graphs."""

    node: str | None
    """The node's id in the second graph; None where it is the graph's own."""
    place: str
    """``settings.seed``, ``wires.latent``, ``device``, ``parameters.prompt``."""
    before: Value | None
    after: Value | None


@dataclass(frozen=True)
class Difference:
    """All that differs. Empty where two graphs mean the same."""

    added: Mapping[str, str]
    """Nodes that only the second graph has, and their types."""
    removed: Mapping[str, str]
    renamed: Mapping[str, str]
    """The id in the second graph by that in the first."""
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.renamed or self.changes)


@dataclass(frozen=True)
class Side:
    """One of two graphs, and the library in which its Graph nodes are found."""

    document: Document
    library: Library | None = None


def difference(before: Side, after: Side, registry: Registry) -> Difference:
    """What differs between two graphs, which may have faults. Layout is not looked at."""
    old, new = _Plain(before, registry), _Plain(after, registry)
    pairs = match(old.nodes, new.nodes)
    taken = set(pairs.values())
    changes = [*_head(old, new, pairs)]
    for name, other in pairs.items():
        changes += _node_changes(old, new, name, other, pairs)
    return Difference(
        added={name: node.type for name, node in new.nodes.items() if name not in taken},
        removed={name: node.type for name, node in old.nodes.items() if name not in pairs},
        renamed={name: other for name, other in pairs.items() if name != other},
        changes=tuple(changes),
    )


class _Plain:
    """A graph with everything written out that can be left out."""

    def __init__(self, side: Side, registry: Registry) -> None:
        self.document, self._library, self._registry = side.document, side.library, registry
        self._ports = {name: self._outputs(node) for name, node in self.document.nodes.items()}
        self.nodes = {
            name: node.model_copy(update={"wires": {port: self.wires(wire) for port, wire in node.wires.items()}})
            for name, node in self.document.nodes.items()
        }

    def wires(self, wire: str | list[str]) -> list[str]:
        """A list of ``node.port``, where the node is known to have one output only."""
        return [self.wire(one) for one in ([wire] if isinstance(wire, str) else wire)]

    def wire(self, wire: str) -> str:
        """``decode`` as ``decode.image``."""
        node, _, port = wire.partition(".")
        ports = self._ports.get(node, [])
        return f"{node}.{ports[0]}" if not port and len(ports) == 1 else wire

    def settings(self, name: str) -> dict[str, Value]:
        """All settings of a node but the wired ones, defaults among them."""
        node = self.nodes[name]
        found = {key: Value(value, is_default=True) for key, value in self._defaults(node).items()}
        found |= {key: Value(value) for key, value in node.settings.items()}
        return {key: value for key, value in found.items() if key not in node.wires}

    def _defaults(self, node: NodeDocument) -> Mapping[str, Any]:
        if node.type != GRAPH_TYPE:
            node_type = self._registry.get(node.type)
            return {} if node_type is None else defaults_of(node_type)
        inner, library = self._inner(node)
        return {} if inner is None else {p.name: p.default for p in describe(inner, self._registry, library)}

    def _inner(self, node: NodeDocument) -> tuple[Document | None, Library | None]:
        """The graph that a Graph node stands for, and its library; None where there is none."""
        if self._library is None:
            return None, None
        graph = str(node.settings.get("graph"))
        try:
            return parse(self._library.load(graph))[0], self._library.beside(graph)
        except LimnerError:
            return None, None

    def _outputs(self, node: NodeDocument) -> list[str]:
        if node.type == GRAPH_TYPE:
            inner, _ = self._inner(node)
            return [] if inner is None else list(inner.outputs)
        node_type = self._registry.get(node.type)
        return [] if node_type is None else [port.name for port in node_type.outputs]


def defaults_of(node_type: NodeType) -> dict[str, Any]:
    """The defaults of a node type, as JSON has them."""
    values = {name: field.get_default(call_default_factory=True) for name, field in node_type.settings.items()}
    return {name: to_jsonable_python(value) for name, value in values.items() if value is not PydanticUndefined}


def _node_changes(old: _Plain, new: _Plain, name: str, other: str, pairs: Mapping[str, str]) -> Iterator[Change]:
    before, after = old.nodes[name], new.nodes[other]
    if before.type != after.type:
        yield Change(other, "type", Value(before.type), Value(after.type))
    yield from _changed(other, "settings", old.settings(name), new.settings(other))
    renamed = {port: Value([_renamed(wire, pairs) for wire in wires]) for port, wires in before.wires.items()}
    wires = {port: Value(list(wires)) for port, wires in after.wires.items()}
    for change in _changed(other, "wires", renamed, wires):
        own = before.wires.get(change.place.partition(".")[2])
        yield Change(other, change.place, None if own is None else Value(own), change.after)
    if before.device != after.device:
        yield Change(other, "device", Value(before.device), Value(after.device))
    if before.offload.model_dump() != after.offload.model_dump():
        yield Change(other, "offload", Value(str(before.offload)), Value(str(after.offload)))


def _head(old: _Plain, new: _Plain, pairs: Mapping[str, str]) -> Iterator[Change]:
    """What differs in the graphs themselves."""
    before, after = old.document, new.document
    for key in ("name", "description"):
        if getattr(before, key) != getattr(after, key):
            yield Change(None, key, Value(getattr(before, key)), Value(getattr(after, key)))
    yield from _changed(
        None,
        "parameters",
        _values(before.parameters, lambda to: sorted(_renamed(one, pairs) for one in targets_of(to))),
        _values(after.parameters, lambda to: sorted(targets_of(to))),
    )
    yield from _changed(
        None,
        "outputs",
        _values(before.outputs, lambda wire: _renamed(old.wire(wire), pairs)),
        _values(after.outputs, new.wire),
    )


def _values(things: Mapping[str, Any], plain: Callable[[Any], Any]) -> dict[str, Value]:
    return {name: Value(plain(thing)) for name, thing in things.items()}


def _changed(node: str | None, kind: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[Change]:
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key, ABSENT), after.get(key, ABSENT)
        if old is None or new is None or not _is_same(old.value, new.value):
            yield Change(node, f"{kind}.{key}", old, new)


def _is_same(one: Any, other: Any) -> bool:
    """Equal as JSON: ``2`` is ``2.0``, and ``1`` is not ``true``."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _renamed(target: str, pairs: Mapping[str, str]) -> str:
    """``node.port`` under the id that the node has in the second graph."""
    node, dot, rest = target.partition(".")
    return f"{pairs.get(node, node)}{dot}{rest}"
