"""Cache keys: what changes a key, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from lab import NODES, graph, node

from limner.engine.cache import Cache
from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.keys import UNREPEATABLE, node_keys, what_computes
from limner.engine.node import Node, NodeType
from limner.engine.registry import Registry


class Read(Node):
    path: str
    line: int = 0

    def fingerprint(self) -> str:
        return Path(self.path).read_text()

    def run(self, ctx: Context) -> int:
        return 0


class Mark(Read):
    only_for_run: ClassVar[frozenset[str]] = frozenset({"line"})


class Given(Node):
    value: int = 0

    def known_outputs(self) -> tuple[int]:
        return (self.value,)

    def run(self, ctx: Context) -> int:
        return self.value


class Ask(Node):
    not_in_key: ClassVar[frozenset[str]] = frozenset({"timeout_s"})

    number: int = 0
    timeout_s: float = 1.0

    def run(self, ctx: Context) -> int:
        return 0


OWN = [*NODES, Read, Ask]
REGISTRY = Registry(OWN)


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


def test_what_computes_is_part_of_the_key() -> None:
    """A result of other versions or of another kind of device is never taken for this one's."""
    then, now = {"torch": "2.12.0"}, {"torch": "2.13.0"}
    cards = {"cuda:0": "H100", "cuda:1": "H100", "cuda:2": "A100", "cpu": "a processor, 4 threads"}
    assert what_computes("cuda:0", now, cards) == what_computes("cuda:1", now, cards)
    assert what_computes("cpu", now, cards) == what_computes("cpu", now, {})
    kinds = [("cuda:0", now), ("cuda:2", now), ("cpu", now), ("cpu", then)]
    assert len({what_computes(lane, software, cards) for lane, software in kinds}) == 4
    nodes = check(sample(), REGISTRY).nodes
    computed = [node_keys(nodes, [by] * len(nodes)) for by in ("cpu torch 2.12.0", "cpu torch 2.13.0", "")]
    assert len({keys[-1] for keys in computed}) == 3


def test_a_plain_value_wired_into_a_setting_is_known(tmp_path: Path) -> None:
    """A node that reads a file keeps a key that is found again when only plain values are wired into its settings."""
    (tmp_path / "file.txt").write_text("one")
    raw = graph({"v": node("Given", value=4), "r": node("Read", {"line": "v"}, path=str(tmp_path / "file.txt"))})
    registry = Registry([*NODES, Read, Given])
    first = keys(raw, registry)["r"]
    assert keys(raw, registry)["r"] == first
    assert not first.startswith(UNREPEATABLE)
    (tmp_path / "file.txt").write_text("two")
    assert keys(raw, registry)["r"] != first


def test_a_fingerprint_does_not_wait_for_what_only_running_needs(tmp_path: Path) -> None:
    """A file beside a setting that is only for run is known by its content, whatever a wire will bring."""
    (tmp_path / "file.txt").write_text("one")
    raw = graph({"s": node("Start"), "r": node("Mark", {"line": "s"}, path=str(tmp_path / "file.txt"))})
    first = keys(raw, Registry([*NODES, Mark]))["r"]
    assert keys(raw, Registry([*NODES, Mark]))["r"] == first
    (tmp_path / "file.txt").write_text("two")
    assert keys(raw, Registry([*NODES, Mark]))["r"] != first


def test_what_cannot_be_found_again_is_not_kept() -> None:
    """A key that no other run can have, and those of what depends on it, leave nothing in the cache."""
    cache = Cache()
    cache.put(UNREPEATABLE + "0" * 64, NodeType.of(Read), (1,))
    assert cache.used_bytes == 0
    raw = graph({"s": node("Start"), "r": node("Read", {"line": "s"}, path=__file__), "a": node("Add", {"value": "r"})})
    assert [key.startswith(UNREPEATABLE) for key in keys(raw).values()] == [False, True, True]


def test_settings_that_change_no_output_are_no_part() -> None:
    """How long a node waits for its answer does not change the answer; its other settings do."""

    def key(**settings: Any) -> str:
        return keys(graph({"a": node("Ask", **settings)}))["a"]

    assert key(timeout_s=2.0) == key()
    assert key(number=1) != key()
    wired = {"t": node("Given", value=3), "a": node("Ask", {"number": "t"}, timeout_s=2.0)}
    registry = Registry([*OWN, Given])
    assert keys(graph(wired), registry) == keys(graph(wired | {"a": node("Ask", {"number": "t"})}), registry)


def test_a_setting_that_came_later_leaves_old_keys_as_they_were() -> None:
    """With the default, which is how it was before; any other value, also a wired one, is part of the key."""

    def first_version() -> type[Node]:
        class Draw(Node):
            def run(self, ctx: Context) -> int:
                return 0

        return Draw

    class Draw(Node):
        added: ClassVar[frozenset[str]] = frozenset({"steps"})

        steps: int = 4

        def run(self, ctx: Context) -> int:
            return 0

    def key(cls: type[Node], **settings: Any) -> str:
        return keys({"limner": 1, "nodes": {"draw": node("Draw", **settings)}}, Registry([cls]))["draw"]

    before = key(first_version())
    assert key(Draw) == key(Draw, steps=4) == before
    assert key(Draw, steps=5) != before
    wired = {"t": node("Given", value=4), "draw": node("Draw", {"steps": "t"})}
    assert keys({"limner": 1, "nodes": wired}, Registry([*OWN, Draw, Given]))["draw"] != before
