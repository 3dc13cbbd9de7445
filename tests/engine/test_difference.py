"""Two graphs are compared by what they mean."""

from __future__ import annotations

import json
import random
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from limner.engine.context import Context
from limner.engine.difference import Difference, Side, Value, difference
from limner.engine.document import parse
from limner.engine.node import Node
from limner.engine.registry import Registry


class Source(Node):
    """Gives a number."""

    value: int = 0
    ratio: float = 2.0
    is_on: bool = False
    names: tuple[str, ...] = Field(default=())

    def run(self, ctx: Context) -> int:
        return self.value


class Sum(Node):
    """Adds numbers up."""

    on_device: ClassVar[bool] = True
    scale: int = 1

    def run(self, ctx: Context, numbers: list[int], more: int | None = None) -> int:
        return sum(numbers)


REGISTRY = Registry([Source, Sum])
PLAIN: dict[str, Any] = {
    "limner": 1,
    "name": "sums",
    "parameters": {"value": "a.value", "both": ["a.ratio", "b.ratio"]},
    "nodes": {
        "a": {"type": "Source", "settings": {"value": 3}},
        "b": {"type": "Source"},
        "sum": {"type": "Sum", "wires": {"numbers": ["a", "b"]}},
    },
    "outputs": {"sum": "sum"},
}


def side(raw: dict[str, Any]) -> Side:
    document, faults = parse(raw)
    assert document is not None
    assert not faults
    return Side(document)


def found(before: dict[str, Any], after: dict[str, Any]) -> Difference:
    return difference(side(before), side(after), REGISTRY)


def edited(**nodes: Any) -> dict[str, Any]:
    """The plain graph with nodes changed, or gone where they are None."""
    all_nodes = {name: node for name, node in (PLAIN["nodes"] | nodes).items() if node is not None}
    return PLAIN | {"nodes": all_nodes}


def changes(difference: Difference) -> dict[str, tuple[Any, Any]]:
    def plain(value: Value | None) -> Any:
        return None if value is None else value.value

    return {f"{c.node}.{c.place}": (plain(c.before), plain(c.after)) for c in difference.changes}


@pytest.mark.parametrize(
    "node",
    [
        {"type": "Source", "settings": {"ratio": 2, "value": 3}, "device": "auto", "offload": "auto"},
        {"type": "Source", "settings": {"value": 3, "is_on": False, "names": []}},
    ],
)
def test_what_means_the_same_is_no_difference(node: dict[str, Any]) -> None:
    """Defaults that are written out, the order of keys, and whole numbers as floats change nothing."""
    assert not found(PLAIN, edited(a=node))


def test_the_ways_to_write_a_wire_are_no_difference() -> None:
    """``a`` is ``a.int`` where a node has one output, and one wire is a list of one."""
    one, other = ({"type": "Sum", "wires": {"numbers": wires}} for wires in ("a", ["a.int"]))
    assert not found(edited(sum=one), edited(sum=other))
    assert not found(PLAIN, PLAIN | {"layout": {"a": [1, 2]}, "outputs": {"sum": "sum.int"}})


@given(st.randoms())
def test_the_order_of_nodes_is_no_difference(order: random.Random) -> None:
    """However the nodes of a file are sorted, the graph is the same."""
    names = list(PLAIN["nodes"])
    order.shuffle(names)
    assert not found(PLAIN, PLAIN | {"nodes": {name: PLAIN["nodes"][name] for name in names}})


def test_every_change_is_named() -> None:
    """Settings, wires, device, offload, parameters, outputs and words are told with both values."""
    after = edited(
        b={"type": "Source", "settings": {"is_on": True}},
        sum={"type": "Sum", "wires": {"numbers": ["b", "a"]}, "device": "cpu", "offload": "group"},
    ) | {"description": "new", "parameters": {"value": "b.value", "both": ["b.ratio", "a.ratio"]}, "outputs": {}}
    assert changes(found(PLAIN, after)) == {
        "None.description": ("", "new"),
        "None.parameters.value": (["a.value"], ["b.value"]),
        "None.outputs.sum": ("sum.int", None),
        "b.settings.is_on": (False, True),
        "sum.wires.numbers": (["a.int", "b.int"], ["b.int", "a.int"]),
        "sum.device": ("auto", "cpu"),
        "sum.offload": ("auto", "group (leaf)"),
    }


def test_a_truth_value_is_no_number() -> None:
    """``true`` and ``1`` are two values."""
    one, other = ({"type": "Other", "settings": {"x": value}} for value in (True, 1))
    assert found(edited(x=one), edited(x=other))


def test_a_setting_that_is_wired_now_is_told_once() -> None:
    """Where a wire takes the place of a setting, both are named, and no default."""
    after = edited(b={"type": "Source", "wires": {"value": "a"}})
    assert changes(found(PLAIN, after)) == {"b.settings.value": (0, None), "b.wires.value": (None, ["a.int"])}


def test_nodes_that_came_and_went() -> None:
    """What only one graph has is added or removed, with its type."""
    after = edited(b=None, more={"type": "Sum", "settings": {"scale": 7}, "wires": {"numbers": ["sum"]}})
    difference = found(PLAIN | {"parameters": {}}, after | {"parameters": {}})
    assert (difference.added, difference.removed, difference.renamed) == ({"more": "Sum"}, {"b": "Source"}, {})


def test_a_renamed_node_is_found() -> None:
    """A node with another id, and what is wired to it, is no other node, even where a setting has changed too."""
    text = json.dumps(PLAIN).replace('"a', '"first').replace('"sum"', '"total"')
    difference = found(PLAIN, json.loads(text) | {"outputs": {"sum": "total"}})
    assert difference.renamed == {"a": "first", "sum": "total"}
    assert not difference.changes
    later = json.loads(text.replace('"value": 3', '"value": 4'))
    assert found(PLAIN, later).renamed == {"a": "first", "sum": "total"}


def test_nodes_that_look_alike_are_told_apart_by_their_neighbours() -> None:
    """Renamed nodes with the same settings are matched by who takes from them."""
    before = edited(b=None, sum=None, **_pair("x", "y")) | {"parameters": {}, "outputs": {}}
    after = edited(b=None, sum=None, **_pair("p", "q")) | {"parameters": {}, "outputs": {}}
    assert found(before, after).renamed == {"x": "p", "y": "q"}


def _pair(first: str, second: str) -> dict[str, Any]:
    return {
        second: {"type": "Source"},
        first: {"type": "Source"},
        "one": {"type": "Sum", "settings": {"scale": 2}, "wires": {"numbers": [first]}},
        "two": {"type": "Sum", "settings": {"scale": 3}, "wires": {"numbers": [second]}},
    }


def test_a_node_of_another_type_under_the_same_id() -> None:
    """Where nothing else fits, the same id with another type is a change of type."""
    after = edited(b={"type": "Sum", "wires": {"numbers": ["a"]}})
    assert changes(found(PLAIN, after))["b.type"] == ("Source", "Sum")


def test_graphs_with_faults_can_be_compared() -> None:
    """Unknown types and wires to nowhere are compared as they stand."""
    one, other = ({"type": "Nobody", "settings": {"x": x}, "wires": {"in": "gone.port"}} for x in (1, 2))
    assert changes(found(edited(x=one), edited(x=other))) == {"x.settings.x": (1, 2)}


def test_large_graphs_are_compared_soon() -> None:
    """Thousands of renamed nodes that look alike end in an answer, not in a search."""
    nodes = {f"n{i}": {"type": "Source"} for i in range(3000)}
    renamed = {f"m{i}": node for i, node in enumerate(nodes.values())}
    bare = {"limner": 1, "name": "many"}
    difference = found(bare | {"nodes": nodes}, bare | {"nodes": renamed})
    assert len(difference.added) == len(difference.removed) == 3000
