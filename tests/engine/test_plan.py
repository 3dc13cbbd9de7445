"""Plans: where nodes run, and when values can go."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import DEVICES, NODES, graph, node

from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.device import DeviceTable
from limner.engine.errors import GraphError
from limner.engine.node import Node
from limner.engine.plan import Plan, _last_uses, make_plan
from limner.engine.registry import Registry


class Heavy(Node):
    on_device: ClassVar[bool] = True

    def run(self, ctx: Context) -> int:
        return 0


class Show(Node):
    shows: ClassVar[bool] = True

    def run(self, ctx: Context, value: int) -> int:
        return value


class Write(Node):
    effect: ClassVar[bool] = True

    def run(self, ctx: Context, value: int) -> int:
        return 0


REGISTRY = Registry([*NODES, Heavy, Show, Write])


def plan(default: str = "auto", devices: DeviceTable = DEVICES, **nodes: object) -> Plan:
    return make_plan(check(graph(nodes), REGISTRY), devices, default)


def test_placement() -> None:
    """A node that computes goes to its device, else the default, else the first one; others need none."""
    nodes = {
        "h": node("Heavy"),
        "g": node("Heavy", device="cuda:1"),
        "s": node("Start"),
        "t": node("Start", device="cpu"),
    }
    lanes = {step.node.id: (step.lane, step.device) for step in plan(**nodes).steps}
    assert lanes == {"h": ("cpu", "cpu"), "g": ("cuda:1", "cuda:1"), "s": ("host", "cpu"), "t": ("cpu", "cpu")}
    lanes = {step.node.id: (step.lane, step.device) for step in plan("cuda:0", **nodes).steps}
    assert lanes["h"] == ("cuda:0", "cuda:0")
    assert lanes["s"] == ("host", "cpu")


def test_every_device_that_is_not_there_is_a_fault() -> None:
    nodes = {"a": node("Heavy", device="cuda:7"), "b": node("Heavy", device="mps"), "c": node("Heavy")}
    with pytest.raises(GraphError) as caught:
        plan(**nodes)
    assert [fault.where for fault in caught.value.faults] == ["nodes.a.device", "nodes.b.device"]
    assert caught.value.faults[0].hint == "it has cpu, cuda:0, cuda:1"


@pytest.mark.parametrize("device", ["cudda:0", "host", "", "CPU", "cuda"])
def test_what_is_no_device_is_a_fault(device: str) -> None:
    """Also ``host``: a model there would share the processor with others by accident."""
    with pytest.raises(GraphError, match="device: "):
        plan(a=node("Heavy", device=device))
    with pytest.raises(GraphError, match="device: "):
        plan(default=device or "x", a=node("Heavy"))


def test_goals_are_effects_what_is_shown_and_what_nobody_takes() -> None:
    """The nodes in the middle count that write or show something; others only where nobody takes what they give."""
    made = plan(
        s=node("Start"),
        w=node("Write", {"value": "s"}),
        a=node("Add", {"value": "w"}),
        p=node("Show", {"value": "a"}),
        b=node("Add", {"value": "p"}),
    )
    assert [made.steps[goal].node.id for goal in made.goals] == ["w", "p", "b"]


@given(data=st.data(), count=st.integers(1, 30))
def test_a_value_is_freed_at_its_last_use(data: st.DataObject, count: int) -> None:
    """Run in order, no node needs a value that an earlier one freed, and each value that was used is freed once."""
    needs = [tuple(data.draw(st.sets(st.integers(0, i - 1), max_size=4)) if i else ()) for i in range(count)]
    frees = _last_uses(needs)
    freed: set[int] = set()
    for wanted, last in zip(needs, frees, strict=True):
        assert not freed & set(wanted)
        assert set(last) <= set(wanted)
        assert not freed & set(last)
        freed |= set(last)
    assert freed == {source for wanted in needs for source in wanted}
