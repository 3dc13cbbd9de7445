"""What would make a graph fit is found by planning it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from lab import graph, node

from limner.engine.check import check
from limner.engine.choose_offload import with_memory
from limner.engine.context import Context
from limner.engine.device import Device, DeviceTable
from limner.engine.document import Document, parse
from limner.engine.forecast import Forecast, Weights
from limner.engine.models import ModelSpec, Smaller
from limner.engine.node import Node
from limner.engine.plan import Plan, make_plan
from limner.engine.registry import Registry
from limner.engine.remedies import Remedy, find_remedies

DEVICES = DeviceTable([Device("cuda:0"), Device("cpu")])


@dataclass(frozen=True)
class Model(ModelSpec[Any]):
    """A model that can be made smaller once."""

    name: str
    size: int
    is_small: bool = False

    @property
    def smaller(self) -> tuple[Smaller, ...]:
        return () if self.is_small else (Smaller("Shrink", {"by": 4}, "model", "small"),)


class Name(Node):
    """Names a model."""

    name: str = "a"
    size: int = 1000

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        return Forecast((Model(self.name, self.size),))

    def run(self, ctx: Context) -> Model:
        return Model(self.name, self.size)


class Shrink(Node):
    """Makes a model smaller."""

    by: int = 2

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        model = inputs["model"]
        return Forecast((replace(model, size=model.size // self.by, is_small=True),))

    def run(self, ctx: Context, model: Model) -> Model:
        return replace(model, size=model.size // self.by, is_small=True)


class Use(Node):
    """Holds a model."""

    on_device: ClassVar[bool] = True
    working: int = 0

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        return Forecast((1,), (inputs["model"],), self.working)

    def run(self, ctx: Context, model: Model, after: int = 0) -> int:
        return 0


REGISTRY = Registry([Name, Shrink, Use])


def weigh(spec: ModelSpec[Any], device: str) -> Weights:
    assert isinstance(spec, Model)
    return Weights(spec.size, spec.size, spec.size // 10)


def planner(usable: Mapping[str, int]) -> Any:
    def replan(document: Document) -> Plan:
        return with_memory(make_plan(check(document, REGISTRY), DEVICES), weigh, usable)

    return replan


def found(nodes: Mapping[str, Any], usable: Mapping[str, int]) -> list[Remedy]:
    document, faults = parse(graph(nodes))
    assert document is not None
    assert not faults
    replan = planner(usable)
    proposed = find_remedies(replan(document), replan)
    for remedy in proposed:
        assert replan(remedy.document).memory.fits
    return proposed


def remedies(nodes: Mapping[str, Any], usable: Mapping[str, int]) -> list[list[str]]:
    return [[str(edit) for edit in remedy.edits] for remedy in found(nodes, usable)]


def one(offload: Any = "none", working: int = 0) -> dict[str, Any]:
    return {"model": node("Name"), "use": node("Use", {"model": "model"}, working=working) | {"offload": offload}}


def test_nothing_is_said_of_what_fits() -> None:
    """A graph that fits needs no remedy."""
    assert remedies(one(), {"cuda:0": 1000}) == []


def test_one_change_each_ready_to_paste() -> None:
    """A fixed policy that does not fit: fewer bits, the processor, groups; the fastest first."""
    assert remedies(one(), {"cuda:0": 500, "cpu": 2000}) == [
        [
            'nodes.use_small = {"type": "Shrink", "settings": {"by": 4}, "wires": {"model": "model"}}',
            'nodes.use.wires.model = "use_small"',
        ],
        ['nodes.use.device = "cpu"'],
        ['nodes.use.offload = {"mode": "group", "stream": true}'],
        ['nodes.use.offload = {"mode": "group", "stream": true, "low_cpu_mem": true}'],
    ]


def test_they_are_said_in_words() -> None:
    """For those who see no file: what is put in before which node, where it computes, how its weights wait."""
    assert [remedy.in_words for remedy in found(one(), {"cuda:0": 500, "cpu": 2000})] == [
        "Shrink (by 4) before use",
        "use on cpu",
        "offload group (leaf, stream) for use",
        "offload group (leaf, stream, low_cpu_mem) for use",
    ]


def test_two_nodes_are_changed_where_one_is_not_enough() -> None:
    """Where two nodes are in the way, both change."""
    nodes = one() | {
        "other": node("Name", name="b"),
        "last": node("Use", {"model": "other", "after": "use"}) | {"offload": "none"},
    }
    first = remedies(nodes, {"cuda:0": 300, "cpu": 50})[0]
    assert any(edit.startswith("nodes.use") for edit in first)
    assert any(edit.startswith("nodes.last") for edit in first)


def test_nothing_helps_against_activations() -> None:
    """Where computing alone needs too much of every device, nothing is proposed."""
    assert remedies(one(working=10_000), {"cuda:0": 500, "cpu": 500}) == []


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["none", "model", "auto"]))
def test_a_remedy_fits(on_device: int, in_ram: int, offload: str) -> None:
    """Whatever there is of each memory, what is proposed makes the graph fit."""
    remedies(one(offload), {"cuda:0": on_device, "cpu": in_ram})
