"""Small nodes and shortcuts that the engine's tests share. No test here needs torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.device import Device, DeviceTable
from limner.engine.events import Event, EventStream
from limner.engine.executor import Executor
from limner.engine.node import Keep, Node
from limner.engine.plan import Plan, make_plan
from limner.engine.registry import Registry
from limner.engine.result import Result
from limner.engine.run import Run

TIMEOUT_S = 15
DEVICES = DeviceTable([Device("cpu"), Device("cuda:0"), Device("cuda:1")])


class Start(Node):
    """A number to begin with."""

    value: int = Field(default=0, ge=-1000, le=1000)

    def run(self, ctx: Context) -> int:
        return self.value


class Add(Node):
    """A number and a bit more."""

    amount: int = 1

    def run(self, ctx: Context, value: int) -> int:
        return value + self.amount


class Sum(Node):
    """All numbers, in order: each place counts differently."""

    def run(self, ctx: Context, values: list[int], last: int = 0) -> int:
        return sum((place + 2) * value for place, value in enumerate(values)) % 1_000_003 + last


class Halves(NamedTuple):
    low: int
    high: int


class Split(Node):
    """Two outputs of one number."""

    def run(self, ctx: Context, value: int) -> Halves:
        return Halves(value // 2, value - value // 2)


class Fail(Node):
    """Raises what it is told to."""

    kind: str = "ValueError"

    def run(self, ctx: Context, value: int = 0) -> int:
        kinds: dict[str, type[BaseException]] = {
            "ValueError": ValueError,
            "SystemExit": SystemExit,
            "KeyboardInterrupt": KeyboardInterrupt,
        }
        raise kinds[self.kind]("as told")


class Word(Node):
    """A text."""

    text: str = "word"

    def run(self, ctx: Context) -> str:
        return self.text


class Kept(Node):
    """A number that the cache also keeps on disk."""

    keep: ClassVar[Keep] = "disk"
    value: int = 0

    def run(self, ctx: Context) -> int:
        return self.value


NODES: tuple[type[Node], ...] = (Start, Add, Sum, Split, Fail, Word, Kept)


def node(type_name: str, wires: Mapping[str, Any] | None = None, device: str = "auto", **given: Any) -> dict[str, Any]:
    """One node of a graph file."""
    return {"type": type_name, "settings": given, "wires": dict(wires or {}), "device": device}


def graph(nodes: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """A graph file."""
    return {"limner": 1, "name": "test", "nodes": dict(nodes), **rest}


def chain(length: int, change: int | None = None) -> dict[str, Any]:
    """``Start`` and then ``Add`` after ``Add``; ``change`` names one with another setting."""
    nodes = {"n0": node("Start")}
    for i in range(1, length):
        nodes[f"n{i}"] = node("Add", {"value": f"n{i - 1}"}, amount=i if i != change else i + 1_000_000)
    return graph(nodes)


def plain(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The outputs of a run, without the name of a port that is a node's only one."""
    return {name: next(iter(ports.values())) if len(ports) == 1 else dict(ports) for name, ports in outputs.items()}


@dataclass
class Lab:
    """A registry and an executor, and the log of everything that happened."""

    executor: Executor
    registry: Registry = field(default_factory=lambda: Registry(NODES))
    log: list[Event] = field(default_factory=list)

    def add(self, *nodes: type[Node]) -> Lab:
        for one in nodes:
            self.registry.add(one)
        return self

    def plan(self, raw: Any) -> Plan:
        return make_plan(check(raw, self.registry), DEVICES)

    def start(self, raw: Any) -> Run:
        self.events = EventStream()
        self.reader = self.events.reader()
        return self.executor.start(self.plan(raw), self.events)

    def finish(self, run: Run) -> Result:
        result = run.wait(20)
        assert result is not None, "the run hangs"
        self.log = list(self.reader)
        return result

    def run(self, raw: Any) -> Result:
        return self.finish(self.start(raw))

    def nodes(self, kind: type[Any]) -> list[str]:
        """The nodes that events of a kind are about, in order."""
        return [event.node for event in self.log if isinstance(event, kind)]


def eventually(is_true: Callable[[], bool]) -> bool:
    """Whether something becomes true soon; for what other threads do in their own time."""
    for _ in range(int(TIMEOUT_S / 0.02)):
        if is_true():
            return True
        time.sleep(0.02)
    return False
