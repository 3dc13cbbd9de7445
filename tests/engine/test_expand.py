"""Graphs as nodes: what they stand for, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab import NODES, Lab, graph, node

from limner.engine.check import check
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.registry import Registry

REGISTRY = Registry(NODES)


class Shelf(dict[str, Any]):
    """Graphs by name, without files."""

    def load(self, name: str) -> Any:
        if name not in self:
            raise InputError(f"there is no graph {name!r}", hint="look again")
        return self[name]

    def path(self, name: str) -> Path:
        return Path(name)

    def beside(self, name: str) -> Shelf:
        return self


def use(name: str, wires: Any = None, **given: Any) -> dict[str, Any]:
    return node("Graph", wires, graph=name, **given)


TWICE = graph(
    {"in": node("Start", value=1), "one": node("Add", {"value": "in"}), "two": node("Add", {"value": "one"})},
    parameters={"amount": ["one.amount", "two.amount"], "value": "in.value", "wire": "one.value"},
    outputs={"first": "one", "second": "two"},
)
SINGLE = graph({"s": node("Start", value=5)}, outputs={"it": "s"}, parameters={"value": "s.value"})
SHELF = Shelf(twice=TWICE, single=SINGLE)


def outputs(raw: Any, shelf: Shelf = SHELF) -> dict[str, Any]:
    from lab import DEVICES

    from limner.engine.executor import Executor
    from limner.engine.plan import make_plan

    with Executor() as executor:
        result = executor.run(make_plan(check(raw, REGISTRY, shelf), DEVICES))
    return {name: next(iter(ports.values())) for name, ports in result.outputs.items()}


def faults(raw: Any, shelf: Shelf = SHELF) -> list[Fault]:
    with pytest.raises(GraphError) as caught:
        check(raw, REGISTRY, shelf)
    return list(caught.value.faults)


def test_a_graph_gives_its_outputs_and_takes_its_parameters() -> None:
    """A setting goes to every setting its parameter names; a wire comes in place of what was wired or set."""
    raw = graph(
        {
            "s": node("Start", value=100),
            "a": use("twice", amount=10),
            "b": use("twice", {"wire": "s"}),
            "c": use("twice", {"value": "a.second"}),
            "sum": node("Sum", {"values": ["a.first", "a.second", "b.second", "c.second"]}),
        }
    )
    assert outputs(raw) == {"sum": 2 * 11 + 3 * 21 + 4 * 102 + 5 * 23}


def test_a_setting_takes_the_place_of_an_inner_wire() -> None:
    inner = graph(
        {"s": node("Start", value=3), "a": node("Add", {"value": "s", "amount": "s"})},
        parameters={"amount": "a.amount"},
        outputs={"out": "a"},
    )
    assert outputs(graph({"g": use("inner", amount=10)}), Shelf(inner=inner)) == {"g/a": 13}
    assert outputs(graph({"g": use("inner")}), Shelf(inner=inner)) == {"g/a": 6}


def test_the_only_output_needs_no_name() -> None:
    assert outputs(graph({"g": use("single"), "a": node("Add", {"value": "g"})})) == {"a": 6}


def test_graphs_in_graphs() -> None:
    """Parameters and outputs reach through every level."""
    middle = graph({"g": use("twice")}, parameters={"amount": "g.amount"}, outputs={"out": "g.second"})
    outer = graph({"m": use("middle", amount=7), "a": node("Add", {"value": "m"})})
    assert outputs(outer, Shelf(twice=TWICE, middle=middle)) == {"a": 16}


def test_a_graph_2000_levels_deep() -> None:
    """Depth costs no stack."""
    shelf = Shelf({f"g{i}": graph({"g": use(f"g{i + 1}")}, outputs={"out": "g.out"}) for i in range(2000)})
    shelf["g2000"] = graph({"s": node("Start", value=4)}, outputs={"out": "s"})
    assert outputs(graph({"g": use("g0"), "a": node("Add", {"value": "g"})}), shelf) == {"a": 5}


def test_a_graph_that_contains_itself_is_named() -> None:
    shelf = Shelf(a=graph({"x": use("b")}), b=graph({"y": use("a")}))
    (fault,) = faults(graph({"g": use("a")}), shelf)
    assert "a contains itself: a -> b -> a" in fault.message
    assert (fault.node, fault.path[-1]) == ("g/x/y", "graph")


def test_graphs_that_double_each_other_are_refused() -> None:
    """Forty small files that would come to 2**40 nodes are one fault, in bounded memory."""
    shelf = Shelf({f"g{i}": graph({"l": use(f"g{i + 1}"), "r": use(f"g{i + 1}")}) for i in range(40)})
    shelf["g40"] = SINGLE
    from limner.engine import expand

    limit, expand.MAX_NODES = expand.MAX_NODES, 5000
    try:
        (fault,) = faults(graph({"g": use("g0")}), shelf)
    finally:
        expand.MAX_NODES = limit
    assert "more than 5,000 nodes" in fault.message


@pytest.mark.parametrize(
    ("given_node", "message"),
    [
        (use("gone"), "graph: there is no graph 'gone'"),
        (node("Graph"), "graph: must be the name of a graph"),
        (node("Graph", graph=3), "graph: must be the name of a graph"),
        (use("single", valeu=3), "valeu: test has no such parameter"),
        (use("single", {"wires": "x"}), "wires: test has no such parameter"),
        (use("single", value=5000), "value: at most 1000"),
        (use("single", value="5"), "value: must be an integer"),
    ],
)
def test_faults_of_a_graph_node(given_node: dict[str, Any], message: str) -> None:
    assert [fault.message for fault in faults(graph({"g": given_node}))] == [message]


def test_a_parameter_must_point_to_one_of_the_graph_inside() -> None:
    """What a parameter names in a Graph node must be a parameter of that graph, or which graph it is."""
    raw = graph({"g": use("single")}, parameters={"bad": "g.valeu", "good": "g.value", "which": "g.graph"})
    (fault,) = faults(raw)
    assert fault.message == "bad: the graph test has no valeu parameter"
    assert (fault.where, fault.hint) == ("parameters.bad", "did you mean value?")
    broken = Shelf(broken=SINGLE | {"parameters": {"value": 3}})
    found = faults(graph({"g": use("broken")}, parameters={"p": "g.value"}), broken)
    assert {fault.where for fault in found} == {"nodes.g.settings.graph.broken.parameters.value"}


def test_set_and_wired() -> None:
    raw = graph({"s": node("Start"), "g": use("single", {"value": "s"}, value=3)})
    assert [fault.message for fault in faults(raw)] == ["value: is both set and wired"]


def test_a_fault_inside_says_where() -> None:
    """Faults of an inner graph name the node and the place in it, all of them, and blame nobody else."""
    bad = graph({"a": {"typ": "Start"}, "b": node("Gone"), "c": node("Add", {"value": "a"})}, outputs={"out": "c"})
    found = faults(graph({"g": use("bad"), "x": node("Add", {"value": "g"})}), Shelf(bad=bad))
    assert [fault.where for fault in found] == [
        *["nodes.g.settings.graph.bad.nodes.a.type", "nodes.g.settings.graph.bad.nodes.a.typ"],
    ] or {fault.node for fault in found} <= {"g", "g/b"}
    assert all(fault.node in ("g", "g/b") for fault in found)


def test_an_output_that_is_not_there_suggests() -> None:
    (fault,) = faults(graph({"g": use("twice"), "a": node("Add", {"value": "g.secnd"})}))
    assert fault.hint == "did you mean second?"


def test_without_a_library_a_graph_node_is_a_fault() -> None:
    with pytest.raises(GraphError, match="no graph is called single"):
        check(graph({"g": use("single")}), REGISTRY)


def test_the_inner_nodes_take_the_outer_device(lab: Lab) -> None:
    checked = check(graph({"g": {**use("twice"), "device": "cuda:1"}}), REGISTRY, SHELF)
    assert {one.device for one in checked.nodes} == {"cuda:1"}
