"""Deciding before moving: where each node runs, what waits for what, and when each value can go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.engine.checked import CheckedGraph, CheckedNode
from limner.engine.device import DEVICE_NAME, HOST, Device, DeviceTable, device_hint
from limner.engine.errors import Fault, GraphError
from limner.engine.garbage import collector_paused
from limner.engine.node import Node
from limner.engine.offload import AUTO, NONE, Offload

if TYPE_CHECKING:
    from limner.engine.memory_plan import MemoryPlan


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan."""

    node: CheckedNode
    lane: str
    """The device, or ``host`` for nodes that need none; what shares a device's lane takes turns."""
    consumers: tuple[int, ...]
    """The nodes that wait for this one, by index, each once."""
    needs: tuple[int, ...]
    """The nodes that this one waits for, by index, each once."""
    frees: tuple[int, ...]
    """The nodes whose values nobody needs after this one, if nodes run in order."""
    offload: Offload = NONE
    """What leaves the device while it is not needed. Never ``auto``: the plan has decided."""
    working_bytes: int = 0
    """What has to be free on the device besides the weights that the node holds."""

    @property
    def device(self) -> str:
        """The device that the node computes on; for nodes that need none, the processor."""
        return "cpu" if self.lane == HOST else self.lane


@dataclass(frozen=True)
class Plan:
    """A checked graph with every decision made that can be made before running."""

    graph: CheckedGraph
    steps: tuple[Step, ...]
    memory: MemoryPlan | None = None
    """What it will take of each device, where that was asked."""

    @property
    def goals(self) -> tuple[int, ...]:
        """What the run is for: nodes that change the world or show something, and nodes whose outputs nobody takes."""
        return tuple(i for i, s in enumerate(self.steps) if not s.consumers or _is_wanted(s.node.type.cls))


def _is_wanted(node: type[Node]) -> bool:
    return node.effect or node.shows


def make_plan(graph: CheckedGraph, devices: DeviceTable, default: str = "auto") -> Plan:
    """Place every node and find the last use of every value. Pure, O(nodes + wires).

    ``default`` replaces ``auto`` of nodes that compute on a device. Raises GraphError with all placement faults.
    """
    with collector_paused():
        return _make_plan(graph, devices, default)


def _make_plan(graph: CheckedGraph, devices: DeviceTable, default: str) -> Plan:
    lanes, faults = list[str](), list[Fault]()
    for node in graph.nodes:
        wanted = node.device
        if wanted == "auto":
            wanted = default if node.type.cls.on_device else HOST
        lane = devices.default if wanted == "auto" else wanted
        if lane not in devices and (lane != HOST or node.type.cls.on_device):
            faults.append(_unknown_device(node, lane, devices))
        else:
            faults += _offload_faults(node, lane)
            if node.type.cls.on_device and node.node is not None:
                faults += _device_faults(node.id, node.node, devices[lane])
        lanes.append(lane)
    if faults:
        raise GraphError(faults)
    needs = [_needs(node) for node in graph.nodes]
    consumers: list[list[int]] = [[] for _ in graph.nodes]
    for index, sources in enumerate(needs):
        for source in sources:
            consumers[source].append(index)
    frees = _last_uses(needs)
    return Plan(
        graph,
        tuple(
            Step(node, lane, tuple(waiting), wanted, freed, _resolved(node.offload))
            for node, lane, waiting, wanted, freed in zip(graph.nodes, lanes, consumers, needs, frees, strict=True)
        ),
    )


def _needs(node: CheckedNode) -> tuple[int, ...]:
    """The nodes whose values a node takes, each once."""
    sources = [source for wire in node.wires for source, _ in wire.sources]
    return tuple(sources if len(sources) < 2 else dict.fromkeys(sources))


def _last_uses(needs: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """For each node, the nodes whose values it is the last to use."""
    seen = bytearray(len(needs))
    frees: list[tuple[int, ...]] = [()] * len(needs)
    for index in range(len(needs) - 1, -1, -1):
        last = tuple(source for source in needs[index] if not seen[source])
        for source in last:
            seen[source] = 1
        frees[index] = last
    return frees


def _resolved(offload: Offload) -> Offload:
    """The policy that ``auto`` stands for."""
    return NONE if offload is AUTO or offload == AUTO else offload


def _offload_faults(node: CheckedNode, device: str) -> Iterator[Fault]:
    """What the device cannot do of a node's policy. What the models cannot is found where they are weighed."""
    if node.offload is AUTO:
        return
    path = ("nodes", node.id, "offload")
    for name, message, hint in node.offload.problems(device):
        yield Fault(f"offload.{name}: {message}", (*path, name), hint)


def _device_faults(node_id: str, node: Node, device: Device) -> Iterator[Fault]:
    for name, message in node.device_problems(device):
        yield Fault(f"{name}: {message}", ("nodes", node_id, "settings", name))


def _unknown_device(node: CheckedNode, device: str, devices: DeviceTable) -> Fault:
    path = ("nodes", node.id, "device")
    if not DEVICE_NAME.fullmatch(device):
        return Fault(f"device: {device!r} is no device", path, device_hint(device, ["auto", *devices]))
    return Fault(f"device: this machine has no {device}", path, f"it has {', '.join(devices)}")
