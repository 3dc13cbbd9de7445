"""Checking: every fault at once, whatever the input."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import NODES, Lab, chain, graph, node
from pydantic import Field

from limner.engine.check import check
from limner.engine.checked import CheckedGraph
from limner.engine.context import Context
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.node import NO_WIRES, Node
from limner.engine.registry import Registry

N = TypeVar("N", bound=int)


class Picky(Node):
    """A node with rules of many kinds."""

    steps: int = Field(default=4, ge=1, le=50)
    ratio: float = 0.5
    name: str = "a"
    exact: bool = False
    rows: tuple[int, ...] = ()

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        if self.name == "odd":
            yield "name", "must not be odd"

    def run(self, ctx: Context, text: str | None = None) -> int:
        return self.steps


class Pairs(Node):
    """A node that counts its wires."""

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        if wired.get("texts", 0) % 2:
            yield "size", f"{wired['texts']} texts make no pairs"

    size: int = 2

    def run(self, ctx: Context, texts: list[str]) -> int:
        return len(texts)


class Heavy(Node):
    on_device = True

    def run(self, ctx: Context) -> int:
        return 0


REGISTRY = Registry([*NODES, Picky, Pairs, Heavy])


def faults(raw: Any) -> list[Fault]:
    with pytest.raises(GraphError) as caught:
        check(raw, REGISTRY)
    return list(caught.value.faults)


def only(raw: Any) -> Fault:
    found = faults(raw)
    assert len(found) == 1, found
    return found[0]


def settings(**given: Any) -> Fault:
    return only(graph({"p": node("Picky", **given)}))


def test_an_unknown_type_gets_the_nearest_name() -> None:
    fault = only(graph({"a": node("Strat")}))
    hint = "did you mean Start?; a node of your own comes with --nodes FILE.py"
    assert str(fault) == f"unknown node type Strat @ nodes.a.type ({hint})"


def test_an_unknown_port_gets_the_nearest_name() -> None:
    fault = only(graph({"s": node("Start"), "a": node("Sum", {"valuse": "s", "values": "s"})}))
    assert (fault.where, fault.hint) == ("nodes.a.wires.valuse", "did you mean values?")
    assert fault.node == "a"


def test_a_wrong_wire_type_names_both() -> None:
    fault = only(graph({"w": node("Word"), "s": node("Start"), "a": node("Add", {"value": "w"})}))
    assert fault.message == "value: takes int, but w gives str"
    assert fault.hint == "s gives int"


def test_a_missing_wire() -> None:
    assert str(only(graph({"a": node("Add")}))).startswith("value: is not wired @ nodes.a.wires.value")


def test_a_missing_output() -> None:
    raw = {"s": node("Start"), "h": node("Split", {"value": "s"})}
    assert "several outputs" in str(only(graph(raw | {"a": node("Add", {"value": "h"})})))
    assert "did you mean high?" in str(only(graph(raw | {"a": node("Add", {"value": "h.hihg"})})))


@pytest.mark.parametrize("value", ["12", 3.9, True, None, [], {}, 1e300, 10**400])
def test_only_an_integer_is_an_integer(value: Any) -> None:
    """Nothing is converted silently."""
    assert settings(steps=value).where == "nodes.p.settings.steps"


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"steps": 51}, "steps: at most 50"),
        ({"steps": 0}, "steps: at least 1"),
        ({"ratio": "1"}, "ratio: must be a number"),
        ({"ratio": float("nan")}, "ratio: must be a finite number"),
        ({"ratio": float("inf")}, "ratio: must be a finite number"),
        ({"ratio": float("-inf")}, "ratio: must be a finite number"),
        ({"name": 3}, "name: must be a text"),
        ({"exact": 1}, "exact: must be true or false"),
        ({"rows": 1}, "rows: must be a list"),
        ({"stepz": 1}, "stepz: unknown setting"),
        ({"text": "a"}, "text: is a wire, not a setting"),
        ({"name": "odd"}, "name: must not be odd"),
    ],
)
def test_a_wrong_setting(given_settings: dict[str, Any], message: str) -> None:
    assert settings(**given_settings).message == message


def test_a_setting_that_is_set_and_wired_hides_no_other_fault() -> None:
    found = faults(graph({"s": node("Start"), "p": node("Picky", {"steps": "s"}, steps=3, ratio="x")}))
    assert [fault.message for fault in found] == ["steps: is both set and wired", "ratio: must be a number"]


def test_only_plain_settings_can_be_wired() -> None:
    assert "cannot be wired" in str(only(graph({"s": node("Start"), "p": node("Picky", {"rows": "s"})})))


def test_every_cycle_is_named_by_its_path() -> None:
    """Separate cycles, and a node wired to itself, are separate faults, also where a setting is wrong as well."""
    raw = graph(
        {
            "a": node("Add", {"value": "c"}),
            "b": node("Add", {"value": "a"}),
            "c": node("Add", {"value": "b"}, amount="x"),
            "d": node("Add", {"value": "d"}),
        }
    )
    messages = {fault.message for fault in faults(raw)}
    assert "the wires form a cycle: d -> d" in messages
    assert "amount: must be an integer" in messages
    (long,) = [m for m in messages if m.startswith("the wires form a cycle:") and m.count("->") == 3]
    path = long.split(": ")[1].split(" -> ")
    assert path[0] == path[-1]
    assert set(path) == {"a", "b", "c"}


def test_a_cycle_of_20_000_nodes_is_found() -> None:
    raw = chain(20_000)
    raw["nodes"]["n0"] = node("Add", {"value": "n19999"})
    assert only(raw).message.count("->") == 20_000


def test_all_faults_come_together() -> None:
    """A document with eleven different faults reports all of them, its own first, then node by node as written."""
    raw = {
        "limner": 1,
        "titel": "unknown key",
        "nodes": {
            "one": node("Nothing"),
            "two": node("Add"),
            "three": node("Picky", steps=0, name=4),
            "four": node("Add", {"value": "absent"}),
            "five": node("Add", {"value": "word"}),
            "word": node("Word"),
            "six": node("Add", {"value": "six"}),
            "seven": {"type": "Start", "setings": {}},
            "eight": node("Add", {"value": "three.nothing"}),
        },
        "parameters": {"p": "word.txet"},
    }
    assert [fault.where for fault in faults(raw)] == [
        "titel",
        "parameters.p",
        "nodes.one.type",
        "nodes.two.wires.value",
        "nodes.three.settings.steps",
        "nodes.three.settings.name",
        "nodes.four.wires.value",
        "nodes.five.wires.value",
        "nodes.six.wires",
        "nodes.seven.setings",
        "nodes.eight.wires.value",
    ]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({"a": node("Strat")}, "unknown_type"),
        ({"a": node("Add")}, "missing"),
        ({"w": node("Word"), "a": node("Add", {"value": "w"})}, "wire_type"),
        ({"a": node("Add", {"value": "a"})}, "cycle"),
        ({"p": node("Picky", steps=0, name="a")}, "greater_than_equal"),
    ],
)
def test_programs_can_tell_faults_apart(raw: Any, kind: str) -> None:
    """A fault says of which kind it is, for those who say it in their own words, also seen from outside."""
    fault = only(graph(raw))
    assert (fault.kind, fault.under(("nodes", "g")).kind) == (kind, kind)


def test_a_broken_node_gives_no_second_fault_elsewhere() -> None:
    """What is wired to a node with a fault of its own is not blamed."""
    assert only(graph({"a": {"type": 3}, "b": node("Add", {"value": "a"})})).where == "nodes.a.type"
    assert only(graph({"a": node("Gone"), "b": node("Add", {"value": "a"})})).where == "nodes.a.type"


def test_many_faults_cost_no_more_each() -> None:
    """Thousands of wires to nodes that are not there, of wrong types and to unknown types are reported, all of them."""
    count = 4000
    raw = {f"absent-{i}": node("Add", {"value": f"gone-{i}"}) for i in range(count)}
    raw |= {f"wrong-{i}": node("Add", {"value": "word"}) for i in range(count)} | {"word": node("Word")}
    raw |= {f"type-{i}": node(f"Strange{i}") for i in range(count)}
    assert len(faults(graph(raw))) == 3 * count


def test_parameters_and_outputs_must_point_somewhere() -> None:
    raw = graph(
        {"s": node("Start")},
        parameters={"good": "s.value", "bad": ["s.valeu", "x.value"]},
        outputs={"good": "s", "worse": "t", "port": "s.x"},
    )
    found = [fault.where for fault in faults(raw)]
    assert found == ["parameters.bad", "parameters.bad", "outputs.worse", "outputs.port"]


@pytest.mark.parametrize("type_name", ["Start", "Heavy"])
def test_the_host_is_no_device(type_name: str) -> None:
    """Nobody asks for ``host``: nodes that need no device are there by themselves, and others would share it."""
    fault = only(graph({"a": node(type_name, device="host")}))
    assert fault.message == "device: 'host' is no device"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["a", "b", "c", "a.int", "b.low", "a b", "", ".", "/", "a/b", "é"])
ODD_NODES = st.fixed_dictionaries(
    {"type": st.sampled_from(["Start", "Add", "Sum", "Split", "Picky", "Graph", "Nothing"]) | JSON},
    optional={
        "settings": st.dictionaries(st.sampled_from(["value", "steps", "ratio", "rows", "graph"]), JSON) | JSON,
        "wires": st.dictionaries(st.sampled_from(["value", "values", "last", "text", "steps"]), NAMES | st.lists(NAMES))
        | JSON,
        "device": JSON,
        "more": JSON,
    },
)
ODD_GRAPHS = st.fixed_dictionaries(
    {"limner": st.just(1) | JSON, "nodes": st.dictionaries(NAMES, ODD_NODES | JSON, max_size=5) | JSON},
    optional={
        "name": JSON,
        "parameters": st.dictionaries(NAMES, NAMES | JSON, max_size=3) | JSON,
        "outputs": st.dictionaries(NAMES, NAMES | JSON, max_size=3) | JSON,
        "layout": JSON,
    },
)


@given(raw=JSON | ODD_GRAPHS)
def test_any_json_checks_or_is_a_graph_error(raw: Any) -> None:
    """No input whatsoever gives another exception; each fault can be printed."""
    found: Any = None
    try:
        found = check(raw, REGISTRY)
    except GraphError as error:
        found = error
    assert isinstance(found, CheckedGraph) or (found.faults and all(str(fault) for fault in found.faults))


@pytest.mark.parametrize("depth", [300, 3000, 100_000])
def test_deep_values_are_faults(depth: int) -> None:
    """Values nested too deeply for JSON are a fault, in settings and in the layout."""
    deep: Any = 0
    for _ in range(depth):
        deep = [deep]
    (fault,) = faults(graph({"p": node("Picky", rows=deep)}))
    assert fault.where == "nodes.p.settings"
    assert "nested too deeply" in faults(graph({"s": node("Start")}, layout={"a": deep}))[0].message


def test_what_was_checked_is_in_order(lab: Lab) -> None:
    """The nodes of a checked graph stand after what they need, wires naming their sources by index."""
    checked = check(graph({"b": node("Add", {"value": "a"}), "a": node("Start")}), lab.registry)
    assert [one.id for one in checked.nodes] == ["a", "b"]
    assert checked.nodes[1].wires[0].sources == ((0, 0),)


class Number(int):
    """A class of its own that is an integer."""


class Numbered(Node):
    """Gives a number of its own class."""

    def run(self, ctx: Context) -> Number:
        return Number()


class Wanting(Node):
    """Takes that class only."""

    def run(self, ctx: Context, number: Number) -> int:
        return number


class Same(Node):
    """Gives what it takes."""

    def run(self, ctx: Context, value: N) -> N:
        return value


class Either(Node):
    """Gives one of two values."""

    def run(self, ctx: Context, one: N, other: N) -> N:
        return one


SAME = Registry([*NODES, Numbered, Wanting, Same, Either])


def same(source: str, length: int) -> dict[str, Any]:
    """A source, a chain of nodes that give what they take, and one that wants a class."""
    links = {f"s{i}": node("Same", {"value": f"s{i - 1}" if i else "source"}) for i in range(length)}
    return graph({"wanting": node("Wanting", {"number": f"s{length - 1}"}), "source": node(source), **links})


@pytest.mark.parametrize("length", [1, 3000])
def test_a_type_flows_through_a_type_variable(length: int) -> None:
    """However long the chain, what comes out is what went in."""
    assert check(same("Numbered", length), SAME)
    with pytest.raises(GraphError) as caught:
        check(same("Start", length), SAME)
    (fault,) = caught.value.faults
    assert str(fault).startswith(f"number: takes Number, but s{length - 1} gives int @ nodes.wanting.wires.number")


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [("Numbered", "Numbered", True), ("Numbered", "Start", False), ("Start", "Numbered", False)],
)
def test_what_is_one_of_two_must_fit_either_way(one: str, other: str, fits: bool) -> None:
    """Also behind nodes that only pass it on; the hint names the inputs of the node that chooses."""
    nodes = {"one": node(one), "other": node(other), "either": node("Either", {"one": "one", "other": "other"})}
    for wire, between in (("either", {}), ("same", {"same": node("Same", {"value": "either"})})):
        raw = graph(nodes | between | {"wanting": node("Wanting", {"number": wire})})
        if fits:
            assert check(raw, SAME)
            continue
        with pytest.raises(GraphError) as caught:
            check(raw, SAME)
        (fault,) = caught.value.faults
        assert str(fault).startswith(f"number: takes Number, but {wire} may give int @ nodes.wanting.wires.number")
        giver = "one" if one == "Numbered" else "other"
        assert fault.hint == (f"{giver} gives Number" if between else "wire Number to both one and other of either")


def test_one_of_two_may_be_anything_where_everything_is_taken() -> None:
    """Different classes are no fault by themselves."""
    nodes = {
        "one": node("Numbered"),
        "other": node("Start"),
        "either": node("Either", {"one": "one", "other": "other"}),
    }
    assert check(graph(nodes | {"add": node("Add", {"value": "either"})}), SAME)


@pytest.mark.parametrize("length", [1, 3000])
def test_a_ladder_of_choices_is_followed_once(length: int) -> None:
    """Each rung chooses between the rung before, twice: as many ways as powers of two, and as many steps as rungs."""
    rungs = {f"s{i}": node("Either", dict.fromkeys(("one", "other"), f"s{i - 1}" if i else "a")) for i in range(length)}
    raw = graph({"a": node("Numbered"), **rungs, "wanting": node("Wanting", {"number": f"s{length - 1}"})})
    assert check(raw, SAME)


@pytest.mark.parametrize("wire", ["word", "gone", "s0", "source.odd"])
def test_an_open_type_gives_no_second_fault(wire: str) -> None:
    """A wire that misfits, leads nowhere, in a circle, or to no output is reported where it is, and only there."""
    raw = same("Start", 2)
    raw["nodes"]["s0"] = node("Same", {"value": wire})
    raw["nodes"]["word"] = node("Word")
    with pytest.raises(GraphError) as caught:
        check(raw, SAME)
    (fault,) = caught.value.faults
    assert fault.where.startswith("nodes.s0.wires")


def test_a_document_checks_like_its_json() -> None:
    raw = graph({"a": node("Start"), "b": node("Add", {"value": "a"})})
    document = Document.model_validate(raw)
    assert check(document, REGISTRY).nodes == check(json.loads(json.dumps(raw)), REGISTRY).nodes


@pytest.mark.parametrize(("wires", "count"), [("a", 1), (["a"], 1), (["a", "a", "a"], 3)])
def test_a_node_may_count_its_wires(wires: Any, count: int) -> None:
    """What depends on how many wires lead to an input is found before anything runs."""
    texts = {"a": node("Word")}
    assert (
        only(graph(texts | {"pairs": node("Pairs", {"texts": wires})})).message == f"size: {count} texts make no pairs"
    )
    check(graph(texts | {"pairs": node("Pairs", {"texts": ["a", "a"]})}), REGISTRY)


@pytest.mark.parametrize(
    ("written", "meant"), [("gpu", "cuda:0"), ("GPU:0", "cuda:0"), ("cuda", "cuda:0"), ("CPU", "cpu"), ("atuo", "auto")]
)
def test_an_unknown_device_gets_the_nearest(written: str, meant: str) -> None:
    """A GPU is never taken for a misspelt CPU."""
    with pytest.raises(GraphError) as caught:
        check(graph({"s": node("Start", device=written)}), Registry(NODES))
    assert [fault.hint for fault in caught.value.faults] == [f"did you mean {meant}?"]


@pytest.mark.parametrize(
    "document",
    [
        graph({"s": node("Start", **{f"valu{number}": 1 for number in range(1000)})}),
        graph({"s": node("Start") | {f"setting{number}": 1 for number in range(1000)}}),
        graph({"s": node("Start")} | {f"n{number}": node("Add", {"value": "s.intt"}) for number in range(1000)}),
    ],
    ids=["settings", "keys", "outputs"],
)
def test_only_the_first_unknown_names_get_a_hint(document: Any) -> None:
    """Comparing names costs more than all else, and a request may hold a million of them; each is a fault."""
    found = faults(document)
    assert len(found) == 1000
    assert sum(fault.hint is not None for fault in found) == 20
