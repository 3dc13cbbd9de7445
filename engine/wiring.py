"""Checking wires: each one must lead from an output that is there to an input that takes it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from limner.engine.document import NodeDocument
from limner.engine.expand import Expansion
from limner.engine.findings import Findings, Place
from limner.engine.node import NodeType, Port
from limner.engine.registry import Registry
from limner.engine.value import fits


class DrawnWire(NamedTuple):
    """A wire that is right, its sources still named by id: each a node and the index of its output."""

    port: str
    sources: list[tuple[str, int]]
    is_many: bool
    is_setting: bool


@dataclass
class Wiring:
    """Checks the wires of a graph, node by node."""

    registry: Registry
    expansion: Expansion
    types: Mapping[str, NodeType]
    """The type of every node that has a known one."""
    skipped: Collection[str]
    """Nodes whose own faults are reported already: wires from them are not faults as well."""
    findings: Findings
    _givers: dict[type, str | None] = field(default_factory=dict)
    _output_types: dict[tuple[str, int], tuple[type, ...]] = field(default_factory=dict)

    def of(self, node_id: str, node_type: NodeType, node: NodeDocument) -> list[DrawnWire]:
        """The wires of one node, without those that have a fault."""
        for port in node_type.required:
            if port.name not in node.wires:
                hint = f"wire an output of type {port.type.__name__} to it"
                self.findings.add(f"{port.name}: is not wired", ("nodes", node_id, "wires", port.name), hint, "missing")
        wires = [self._wire(node_id, node_type, name, wire) for name, wire in node.wires.items()]
        return [wire for wire in wires if wire is not None]

    def _wire(self, node_id: str, node_type: NodeType, name: str, wire: str | list[str]) -> DrawnWire | None:
        path = ("nodes", node_id, "wires", name)
        is_setting = name not in node_type.inputs and name in node_type.settings
        port = self._wired_setting(path, node_type) if is_setting else self._input(path, node_type)
        if port is None:
            return None
        wires = [wire] if isinstance(wire, str) else wire
        if len(wires) != 1 and not port.is_many:
            self.findings.add(f"{name}: takes one wire, not {len(wires)}", path)
            return None
        sources = [self._source(path, port, one) for one in wires]
        found = [source for source in sources if source is not None]
        return DrawnWire(name, found, port.is_many, is_setting) if len(found) == len(sources) else None

    def _input(self, path: Place, node_type: NodeType) -> Port | None:
        name = str(path[-1])
        if (port := node_type.inputs.get(name)) is None:
            hint = self.findings.suggest(name, [*node_type.inputs, *node_type.settings])
            self.findings.add(f"{name}: {node_type.name} has no such input", path, hint)
        return port

    def _wired_setting(self, path: Place, node_type: NodeType) -> Port | None:
        name = str(path[-1])
        if (setting_type := node_type.setting_type(name)) is None:
            self.findings.add(f"{name}: this setting cannot be wired", path, "only plain values can")
            return None
        return Port(name, setting_type)

    def _source(self, path: Place, port: Port, wire: str) -> tuple[str, int] | None:
        wire = self.expansion.resolve(wire)
        source, _, output = wire.partition(".")
        if (source_type := self.types.get(source)) is None:
            self._unknown_source(path, port, wire, source)
            return None
        try:
            index = source_type.output(output or None)
        except KeyError:
            self.no_such_output(path, source, output, source_type)
            return None
        found = self._output_types.get((source, index)) or self._types_of(source, index)
        for kind in found:
            if not fits(kind, port.type):
                self._misfit(path, port, wire, kind, source_type.outputs[index] if len(found) > 1 else None)
                return None
        return source, index

    def _misfit(self, path: Place, port: Port, wire: str, wrong: type, undecided: Port | None) -> None:
        """Note that an output gives something else; ``undecided`` is one that has the type of one of several inputs."""
        verb, hint = "gives", self._giver(port)
        if undecided is not None:
            verb = "may give"
            if undecided.also_as:
                names = " and ".join([*undecided.also_as, undecided.same_as or ""])
                hint = f"wire {port.type.__name__} to both {names} of {wire.partition('.')[0]}"
        message = f"{port.name}: takes {port.type.__name__}, but {wire} {verb} {wrong.__name__}"
        self.findings.add(message, path, hint, "wire_type")

    def _types_of(self, source: str, index: int) -> tuple[type, ...]:
        """The classes that an output may give; none where a fault that is reported elsewhere leaves it open.

        An output that has the type of inputs is followed to what is wired there, however long the chain. Several are
        possible where one of several inputs is given on.
        """
        waiting, begun = [(source, index)], set[tuple[str, int]]()
        while waiting:
            output = waiting[-1]
            steps = self._steps(output)
            ahead = [step for step in steps if step not in self._output_types and step not in begun]
            if ahead and output not in self._output_types:
                begun.add(output)
                waiting += ahead
                continue
            waiting.pop()
            if output not in self._output_types:
                port = self.types[output[0]].outputs[output[1]]
                found = [one for step in steps for one in self._output_types.get(step, ())]
                kinds = [port.type] if port.same_as is None else [one for one in found if fits(one, port.type)]
                self._output_types[output] = tuple(dict.fromkeys(kinds))
        return self._output_types[source, index]

    def _steps(self, output: tuple[str, int]) -> list[tuple[str, int]]:
        """The outputs whose type one takes on: what is wired to the inputs that it is the same as."""
        source, index = output
        port = self.types[source].outputs[index]
        if port.same_as is None:
            return []
        wires = (self.expansion.nodes[source].wires.get(name) for name in (*port.also_as, port.same_as))
        found = (self._find_output(wire) for wire in wires if isinstance(wire, str))
        return [step for step in found if step is not None]

    def _find_output(self, wire: str) -> tuple[str, int] | None:
        source, _, output = self.expansion.resolve(wire).partition(".")
        try:
            return source, self.types[source].output(output or None)
        except KeyError:
            return None

    def _unknown_source(self, path: Place, port: Port, wire: str, source: str) -> None:
        if source in self.skipped or source in self.expansion.nodes:
            return
        if (ports := self.expansion.outputs.get(source)) is not None:
            hint = self.findings.suggest(wire.partition(".")[2], ports) or 'give the inner graph "outputs"'
            self.findings.add(f"{port.name}: the graph {source} has no output {wire!r}", path, hint)
            return
        names = itertools.chain(self.expansion.nodes, self.expansion.outputs)
        self.findings.add(f"{port.name}: there is no node {source!r}", path, self.findings.suggest(source, names))

    def no_such_output(self, path: Place, source: str, output: str, found: NodeType) -> None:
        """Note that a node has no output of this name, or that the name is missing."""
        label, names = path[-1], [one.name for one in found.outputs]
        if not names:
            self.findings.add(f"{label}: {source} ({found.name}) gives nothing", path)
        elif not output:
            hint = " or ".join(f"{source}.{name}" for name in names)
            self.findings.add(f"{label}: {source} has several outputs", path, f"write {hint}")
        else:
            message = f"{label}: {source} ({found.name}) has no output {output!r}"
            self.findings.add(message, path, self.findings.suggest(output, names))

    def _giver(self, port: Port) -> str | None:
        """A hint that names an output of this graph which would fit, or node types that give one."""
        if port.type not in self._givers:
            self._givers[port.type] = self._find_giver(port.type)
        return self._givers[port.type]

    def _find_giver(self, wanted: type) -> str | None:
        for node_id, node_type in self.types.items():
            for output in node_type.outputs:
                if fits(output.type, wanted):
                    wire = node_id if len(node_type.outputs) == 1 else f"{node_id}.{output.name}"
                    return f"{wire} gives {wanted.__name__}"
        givers = [t.name for t in self.registry.values() if any(fits(output.type, wanted) for output in t.outputs)]
        return f"{' or '.join(givers)} gives {wanted.__name__}" if givers else None
