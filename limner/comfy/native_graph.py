"""A graph while its nodes are replaced by others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from limner.comfy.import_parameters import VALUES
from limner.engine.document import NodeDocument
from limner.engine.node import snake_case
from limner.nodes import NODES

_WRITERS: Final = frozenset(node.__name__ for node in NODES if node.effect or node.shows)
_DEFAULTS: Final = {node.__name__: {name: field.default for name, field in node.model_fields.items()} for node in NODES}


def source_of(wire: str) -> str:
    """The node that a wire begins at."""
    return wire.partition(".")[0]


@dataclass
class NativeGraph:
    """Nodes by id, in order."""

    nodes: dict[str, NodeDocument]
    _fed: defaultdict[str, set[str]] = field(init=False, default_factory=lambda: defaultdict(set))
    """By what wires say, the nodes that they lead to, or led to."""
    _models: dict[str, str] = field(init=False, default_factory=dict)
    """By source, its first LoadModel."""
    _numbers: defaultdict[str, Iterator[int]] = field(init=False, default_factory=lambda: defaultdict(lambda: count(1)))

    def __post_init__(self) -> None:
        for node_id, node in self.nodes.items():
            self._note(node_id, node)

    def of_type(self, type_name: str) -> list[str]:
        """The nodes of a type."""
        return [node_id for node_id, node in self.nodes.items() if node.type == type_name]

    def wire(self, node_id: str, name: str) -> str:
        """The wire to an input; empty where none is."""
        wire = self.nodes[node_id].wires.get(name, "")
        return wire if isinstance(wire, str) else ""

    def value(self, node_id: str, setting: str) -> Any:
        """What a setting is, also where a plain value is wired to it; None where it is known only while it runs."""
        if wire := self.wire(node_id, setting):
            source = source_of(wire)
            return self.value(source, "value") if self.nodes[source].type in VALUES else None
        node = self.nodes[node_id]
        return node.settings.get(setting, _DEFAULTS[node.type][setting])

    def put(
        self,
        node_id: str,
        type_name: str,
        settings: Mapping[str, Any],
        wires: Mapping[str, str | list[str]] | None = None,
    ) -> None:
        """Put a node in the place of one, or at the end; it computes where that one did."""
        before = self.nodes.get(node_id, NodeDocument(type=type_name))
        node = before.model_copy(update={"type": type_name, "settings": dict(settings), "wires": dict(wires or {})})
        self.nodes[node_id] = node
        self._note(node_id, node)

    def _note(self, node_id: str, node: NodeDocument) -> None:
        for wire in _each(node):
            self._fed[wire].add(node_id)
        source = node.settings.get("source")
        if node.type == "LoadModel" and isinstance(source, str):
            self._models.setdefault(source, node_id)

    def add(
        self,
        type_name: str,
        settings: Mapping[str, Any],
        wires: Mapping[str, str | list[str]],
        instead_of: str | None = None,
    ) -> str:
        """Add a node that computes where another did, and give its id: its name, or that with a number."""
        name = snake_case(type_name)
        names = (name if number == 1 else f"{name}_{number}" for number in self._numbers[name])
        node_id = next(one for one in names if one not in self.nodes)
        if instead_of is not None:
            self.nodes[node_id] = self.nodes[instead_of]
        self.put(node_id, type_name, settings, wires)
        return node_id

    def model(self, source: str) -> str:
        """The LoadModel of a source, added where there is none."""
        return self._models.get(source) or self.add("LoadModel", {"source": source}, {})

    def model_of(self, sources: Collection[str]) -> str | None:
        """The first LoadModel of one of these sources."""
        return next((node_id for source, node_id in self._models.items() if source in sources), None)

    def replace_wires(self, instead: Mapping[str, str]) -> None:
        """Have all wires begin elsewhere."""
        for node_id in set[str]().union(*(self._fed[wire] for wire in instead)):
            node = self.nodes[node_id]
            wires = {
                name: [instead.get(one, one) for one in wire] if isinstance(wire, list) else instead.get(wire, wire)
                for name, wire in node.wires.items()
            }
            self.nodes[node_id] = node.model_copy(update={"wires": wires})
            self._note(node_id, self.nodes[node_id])

    def all_wires(self) -> set[str]:
        """What all wires say."""
        return {one for node in self.nodes.values() for one in _each(node)}

    def goals(self) -> set[str]:
        """The nodes that nothing is wired to, such as SaveImage; thin ones that lost their wires only lie about."""
        sinks = self.nodes.keys() - {source_of(wire) for wire in self.all_wires()}
        kinds = {node_id: self.nodes[node_id].type for node_id in sinks}
        return {one for one, kind in kinds.items() if kind in _WRITERS or not kind.startswith("Comfy")} or sinks

    def leading_to(self, goals: set[str]) -> dict[str, NodeDocument]:
        """The nodes that others need in the end, models first."""
        found: set[str] = set()
        waiting = list(goals)
        while waiting:
            if (node_id := waiting.pop()) not in found:
                found.add(node_id)
                waiting += [source_of(wire) for wire in _each(self.nodes[node_id])]
        first = self.of_type("LoadModel")
        return {name: self.nodes[name] for name in dict.fromkeys([*first, *self.nodes]) if name in found}


def _each(node: NodeDocument) -> Iterator[str]:
    for wire in node.wires.values():
        yield from [wire] if isinstance(wire, str) else wire
