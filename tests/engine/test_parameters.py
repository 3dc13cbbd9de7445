"""What a caller may set, and how texts become values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from lab import NODES, graph, node
from test_expand import Shelf, use

from limner.engine.context import Context
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.node import Node
from limner.engine.parameters import by_parameter, describe, read_values, set_values, with_values
from limner.engine.registry import Registry


class Folder:
    """Graphs as files, each naming others from its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, name: str) -> Any:
        return json.loads(self.path(name).read_text())

    def path(self, name: str) -> Path:
        return self.folder / name

    def beside(self, name: str) -> Folder:
        return Folder(self.path(name).parent)


class Many(Node):
    text: str = "t"
    maybe_text: str | None = None
    number: float = 0.5
    count: int | None = None
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] | None = None

    def run(self, ctx: Context, value: int = 0) -> int:
        return 0


REGISTRY = Registry([*NODES, Many])
DOCUMENT = Document.model_validate(
    graph(
        {"m": node("Many", number=0.25), "n": node("Many", {"value": "s"}), "s": node("Start")},
        parameters={"text": ["m.text", "n.text"], "number": "m.number", "wire": "n.value", "lost": "x.y"},
    )
)


def test_parameters_have_the_schema_and_default_of_their_setting() -> None:
    found = {one.name: one for one in describe(DOCUMENT, REGISTRY)}
    assert (found["text"].schema["type"], found["text"].default) == ("string", "t")
    assert (found["number"].schema["type"], found["number"].default) == ("number", 0.25)
    assert found["wire"].schema == {}
    assert found["lost"].schema == {}


def test_parameters_of_graphs_in_graphs() -> None:
    """The schema is the innermost setting's; the default is what the outermost graph gives. 2,000 levels are fine."""
    shelf = Shelf(
        {f"g{i}": graph({"g": use(f"g{i + 1}")}, parameters={"value": "g.value"}) for i in range(2000)},
        g2000=graph({"s": node("Start", value=4)}, parameters={"value": "s.value"}),
        loop=graph({"g": use("loop")}, parameters={"value": "g.value"}),
        broken=3,
    )

    def one(**nodes: Any) -> Any:
        document = Document.model_validate(graph(nodes, parameters={"p": "g.value"}))
        return describe(document, REGISTRY, shelf)[0]

    assert (one(g=use("g0")).schema["maximum"], one(g=use("g0")).default) == (1000, 4)
    assert one(g=use("g0", value=9)).default == 9
    assert one(g=use("loop")).schema == {}
    assert one(g=use("broken")).schema == {}
    assert one(g=use("gone")).schema == {}


def test_a_graph_names_others_from_its_own_folder(tmp_path: Path) -> None:
    """A text parameter two files down is found beside the file that names it, also where both have the same name."""
    inner = graph({"w": node("Word")}, parameters={"text": "w.text"}, outputs={"out": "w"})
    outer = graph({"g": use("deep/g.json")}, parameters={"text": "g.text"}, outputs={"out": "g"})
    for folder, raw in [("sub", outer), ("sub/deep", graph({"g": use("deep/g.json")}, parameters={"text": "g.text"}))]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "g.json").write_text(json.dumps(raw))
    (tmp_path / "sub/deep/deep").mkdir()
    (tmp_path / "sub/deep/deep/g.json").write_text(json.dumps(inner))
    document = Document.model_validate(graph({"g": use("sub/g.json")}, parameters={"text": "g.text"}))
    assert read_values(["text=5"], document, REGISTRY, Folder(tmp_path)) == {"text": "5"}


def test_values_change_only_what_they_name() -> None:
    """A parameter reaches all its targets; a wired input becomes set; the document given stays as it was."""
    before = DOCUMENT.to_json()
    changed = with_values(DOCUMENT, {"text": "new", "m.count": 3, "wire": 5})
    assert changed.nodes["m"].settings == {"number": 0.25, "text": "new", "count": 3}
    assert changed.nodes["n"].settings == {"text": "new", "value": 5}
    assert changed.nodes["n"].wires == {}
    assert DOCUMENT.to_json() == before


def test_every_unknown_name_is_a_fault() -> None:
    with pytest.raises(GraphError) as caught:
        with_values(DOCUMENT, {"txet": 1, "gone.text": 2, "m.": 3})
    assert [fault.path[-1] for fault in caught.value.faults] == ["txet", "gone.text", "m."]
    assert caught.value.faults[0].hint == "did you mean text?"


@pytest.mark.parametrize("name", ["m{}.text", "text{}"])
def test_only_the_first_unknown_names_get_a_hint(name: str) -> None:
    """Comparing each of very many with all nodes would take minutes; each is a fault."""
    _, faults = set_values(DOCUMENT, {name.format(number): 1 for number in range(1000)})
    assert len(faults) == 1000
    assert sum(fault.hint is not None for fault in faults) == 20


def test_what_can_be_set_is_set() -> None:
    """Beside what points to nothing, so that the rest is checked, too."""
    changed, faults = set_values(DOCUMENT, {"gone": 1, "m.count": 3, "m.number": 2.0})
    assert [fault.path[-1] for fault in faults] == ["gone"]
    assert changed.nodes["m"].settings["count"] == 3


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("text=5", "5"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("m.maybe_text=null", None),
        ("m.maybe_text=nil", "nil"),
        ("number=2", 2),
        ("number=1e3", 1000.0),
        ("m.count=null", None),
        ("m.count=7", 7),
        ("m.flag=true", True),
        ("m.choice=b", "b"),
        ("m.names=a,b", ["a", "b"]),
        ("m.names=1,2", ["1", "2"]),
        ('m.names=["a,b"]', ["a,b"]),
        ("m.sizes=1,2", [1, 2]),
        ("m.sizes=null", None),
        ("m.count=many", "many"),
        ("m.count=" + "[" * 100_000, "[" * 100_000),
        ("m.count=" + "9" * 5000, "9" * 5000),
        ("m.unknown=3", 3),
    ],
    ids=lambda value: str(value)[:20],
)
def test_texts_become_values_as_their_setting_asks(pair: str, value: Any) -> None:
    """Texts stay texts, lists may be written with commas, the rest is JSON; what is neither is left to checking."""
    (found,) = read_values([pair], DOCUMENT, REGISTRY).values()
    assert found == value
    assert type(found) is type(value)


def test_faults_name_the_parameter_that_was_given() -> None:
    """A fault of a setting that a given parameter stands for begins with its name; all others stay as they are."""
    document = Document.model_validate(
        graph({"m": {"type": "Many"}}, parameters={"size": "m.count", "flag": "m.flag", "other": "m.number"})
    )
    path = ("nodes", "m", "settings")
    faults = [
        Fault("count: too large", (*path, "count")),
        Fault("sizes[0]: too large", (*path, "count", 0)),
        Fault("flag: is wrong", (*path, "flag")),
        Fault("number: is wrong", (*path, "number")),
        Fault("settings: not JSON", path),
        Fault("memory: too little", ("nodes", "m")),
    ]
    named = [fault.message for fault in by_parameter(faults, ["size", "flag", "m.number"], document)]
    assert named[:2] == ["size: count: too large", "size: sizes[0]: too large"]
    assert named[2:] == [fault.message for fault in faults[2:]]


def test_a_pair_without_equals() -> None:
    with pytest.raises(GraphError, match="is not NAME=VALUE"):
        read_values(["text"], DOCUMENT, REGISTRY)
