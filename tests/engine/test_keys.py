"""Cache keys: what changes a key, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from lab import NODES, graph, node

from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.keys import node_keys
from limner.engine.node import Node
from limner.engine.registry import Registry


class Read(Node):
    path: str
    line: int = 0

    def fingerprint(self) -> str:
        return Path(self.path).read_text()

    def run(self, ctx: Context) -> int:
        return 0


REGISTRY = Registry([*NODES, Read])


def keys(raw: Any, registry: Registry = REGISTRY) -> dict[str, str]:
    checked = check(raw, registry)
    return {one.id: key for one, key in zip(checked.nodes, node_keys(checked.nodes), strict=True)}


def sample(value: int = 3, values: tuple[str, ...] = ("s", "a"), **rest: Any) -> dict[str, Any]:
    nodes = {
        "s": node("Start", value=value),
        "a": node("Add", {"value": "s"}),
        "z": node("Sum", {"values": list(values)}),
    }
    return graph(nodes, **rest)


def test_names_places_and_order_in_the_file_are_no_part() -> None:
    """Ids, devices, layout, texts, the order of nodes, and a default that is written out."""
    raw = sample()
    expected = keys(raw)
    assert keys(sample(layout={"a": [1, 2]}, description="other", outputs={"x": "s"})) == expected
    assert keys(graph(dict(reversed(raw["nodes"].items())))) == expected
    assert keys(graph({k: v | {"device": "cuda:0"} for k, v in raw["nodes"].items()})) == expected
    raw["nodes"]["a"]["settings"] = {"amount": 1}
    assert keys(raw) == expected
    renamed = graph({"first": node("Start", value=3), "second": node("Add", {"value": "first"})})
    assert list(keys(renamed).values()) == [expected["s"], expected["a"]]


@given(one=st.integers(-1000, 1000), other=st.integers(-1000, 1000))
def test_a_setting_changes_its_node_and_what_depends_on_it(one: int, other: int) -> None:
    nodes = {"free": node("Start", value=5), **sample(one)["nodes"]}
    changed = {"free": node("Start", value=5), **sample(other)["nodes"]}
    same = {name for name, key in keys(graph(nodes)).items() if keys(graph(changed))[name] == key}
    assert same == ({"free", "s", "a", "z"} if one == other else {"free"})


def test_wires_count_by_port_output_and_order() -> None:
    """Another source, another output of it, another port, or another order in a list is another key."""
    parts = {"s": node("Start"), "h": node("Split", {"value": "s"})}
    wires: list[dict[str, Any]] = [
        {"values": ["h.low", "h.high"]},
        {"values": ["h.high", "h.low"]},
        {"values": ["h.low"]},
        {"values": ["h.low", "h.low"]},
        {"values": []},
        {"values": [], "last": "h.low"},
        {"values": ["h.low"], "last": "h.low"},
        {"values": ["s", "h.high"]},
    ]
    found = [keys(graph({**parts, "z": node("Sum", one)}))["z"] for one in wires]
    assert len(set(found)) == len(wires)
    assert (
        keys(graph({**parts, "z": node("Sum", {"last": "s", "values": "h.low"})}))["z"]
        == (keys(graph({**parts, "z": node("Sum", {"values": "h.low", "last": "s"})}))["z"])
    )


def test_a_wired_setting_is_not_a_set_one() -> None:
    nodes = {"s": node("Start", value=1), "t": node("Start", value=2)}
    found = {
        keys(graph({**nodes, "a": node("Add", {"value": "s", **wires}, **given)}))["a"]
        for wires, given in [({}, {}), ({"amount": "s"}, {}), ({"amount": "t"}, {}), ({}, {"amount": 2})]
    }
    assert len(found) == 4


def test_type_and_version_count() -> None:
    class Newer(Node):
        version: ClassVar[int] = 2
        value: int = 0

        def run(self, ctx: Context) -> int:
            return 0

    Newer.__name__ = "Start"
    raw = graph({"s": node("Start")})
    assert keys(raw, Registry([Newer])) != keys(raw)
    assert keys(graph({"s": node("Kept")})) != keys(raw)


def test_files_count_by_content(tmp_path: Path) -> None:
    """The same content gives the same key; another content another one."""
    path = tmp_path / "file.txt"
    path.write_text("one")
    raw = graph({"r": node("Read", path=str(path)), "a": node("Add", {"value": "r"})})
    first = keys(raw)
    assert keys(raw) == first
    path.write_text("two")
    assert not set(keys(raw).values()) & set(first.values())
    path.write_text("one")
    assert keys(raw) == first


def test_a_file_beside_a_wired_setting_is_never_taken_as_known(tmp_path: Path) -> None:
    """What cannot be known before running is computed each time, not served from an older content."""
    (tmp_path / "file.txt").write_text("one")
    raw = graph(
        {
            "s": node("Start"),
            "r": node("Read", {"line": "s"}, path=str(tmp_path / "file.txt")),
            "a": node("Add", {"value": "r"}),
        }
    )
    assert keys(raw)["s"] == keys(raw)["s"]
    assert keys(raw)["r"] != keys(raw)["r"]
    assert keys(raw)["a"] != keys(raw)["a"]
