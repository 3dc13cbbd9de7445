"""The graph file: strict reading, and writing that reads back equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Add, Split, Start, Sum, graph, node

from limner.engine.document import Document, parse, read_json, schema
from limner.engine.errors import GraphError, InputError
from limner.engine.graph import Graph, load_document


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"limner": 1,\n  "nodes": {,}}', "line 2, column 13"),
        (b"", "line 1, column 1"),
        (b"hello", "line 1, column 1"),
        (b'{"a": 1} trailing', "line 1, column 10"),
        (b'{"a": "\xff\xfe"}', "not UTF-8 text (byte 7)"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"nodes": {"a": 1, "b": 2, "a": 3}}', "the key 'a' stands twice"),
    ],
)
def test_what_is_not_json_is_one_clear_fault(content: bytes, message: str) -> None:
    """Broken text says where; what JSON does not have is refused; a node may not be there twice."""
    with pytest.raises(GraphError) as caught:
        read_json(content)
    assert message in str(caught.value)


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("raw", [None, 1, "x", [], True, 1.5])
def test_a_graph_is_an_object(raw: Any) -> None:
    document, faults = parse(raw)
    assert document is None
    assert "a graph is a JSON object" in faults[0].message


def test_shape_faults_come_together_and_leave_the_good_nodes() -> None:
    document, faults = parse(
        {"limner": 1, "nam": "x", "nodes": {"good": {"type": "Start"}, "bad": {"typ": "Start"}, "a b": {"type": "S"}}}
    )
    assert document is not None
    assert list(document.nodes) == ["good"]
    assert {fault.where for fault in faults} == {"nam", "nodes.bad.type", "nodes.bad.typ", "nodes.a b"}
    assert {fault.hint for fault in faults if fault.hint} >= {"did you mean name?", "did you mean type?"}


@pytest.mark.parametrize("layout", [{"a": float("inf")}, {"a": "\ud800"}, {"\ud800": 1}, {"a": [10**5000]}])
def test_a_layout_is_what_a_file_can_hold(layout: Any) -> None:
    _, faults = parse(graph({}, layout=layout))
    assert [fault.where for fault in faults] == ["layout"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
IDS = st.text(st.characters(categories=["L", "Nd"], include_characters="_-"), min_size=1, max_size=12)
DOCUMENTS = st.builds(
    Document,
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
    description=TEXTS,
    parameters=st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, min_size=1, max_size=3), max_size=3),
    nodes=st.dictionaries(
        IDS,
        st.fixed_dictionaries(
            {"type": TEXTS},
            optional={
                "settings": st.dictionaries(TEXTS, VALUES, max_size=3),
                "wires": st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=3),
                "device": TEXTS,
            },
        ),
        max_size=4,
    ),
    outputs=st.dictionaries(TEXTS, TEXTS, max_size=3),
    layout=st.dictionaries(TEXTS, VALUES, max_size=3),
)


@settings(max_examples=25)
@given(document=DOCUMENTS)
def test_a_document_survives_its_file(document: Document) -> None:
    """Writing and reading gives an equal document, and the same text again."""
    text = document.to_json()
    again, faults = parse(read_json(text.encode()))
    assert not faults
    assert again == document
    assert again.to_json() == text


def test_composing_in_python_gives_the_same_document(tmp_path: Path) -> None:
    """A graph made by adding nodes equals what the JSON loader reads, and what it saves reads back equal."""
    made = Graph("test")
    start = made.add(Start(value=3))
    half = made.add(Split(), id="half", value=start, device="cpu")
    made.add(Sum(), values=[half.low, half.high, start])
    made.add(Add(amount=2), value="half.low")
    made.add(Add(), value=start)
    made.parameter("value", "start.value")
    made.parameter("both", "start.value", "add.amount")
    made.output("sum", "sum")
    written = graph(
        {
            "start": {"type": "Start", "settings": {"value": 3}},
            "half": node("Split", {"value": "start"}, device="cpu"),
            "sum": {"type": "Sum", "wires": {"values": ["half.low", "half.high", "start"]}},
            "add": {"type": "Add", "settings": {"amount": 2}, "wires": {"value": "half.low"}},
            "add_2": {"type": "Add", "wires": {"value": "start"}},
        },
        parameters={"value": "start.value", "both": ["start.value", "add.amount"]},
        outputs={"sum": "sum"},
    )
    document, faults = parse(json.loads(json.dumps(written)))
    assert not faults
    assert made.document() == document
    made.save(tmp_path / "g.json")
    assert Graph.load(tmp_path / "g.json") == made
    assert load_document(tmp_path / "g.json") == document


def test_a_parameter_points_somewhere() -> None:
    """A list of targets has at least one; a fault in a list does not also say that it is no text."""
    for targets, message in [([], "p: must not be empty"), ([3], "0: must be a text")]:
        _, faults = parse({"limner": 1, "nodes": {}, "parameters": {"p": targets}})
        assert [fault.message for fault in faults] == [message]


def test_a_builder_refuses_what_a_file_could_not_hold() -> None:
    """An id that is taken or is none, and an output that is not there, are refused where they are written."""
    made = Graph()
    handle = made.add(Start(), id="a")
    for bad in ("a", "", "²", "a b", "a.b", "a/b", "x" * 201):
        with pytest.raises(GraphError):
            made.add(Start(), id=bad)
    with pytest.raises(AttributeError, match="did you mean int"):
        _ = handle.itn
    assert repr(handle.int) == "<output a>"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_document(tmp_path / "gone.json")
    with pytest.raises(InputError, match="directory"):
        load_document(tmp_path)


def test_the_schema_is_json_and_names_the_version() -> None:
    found = json.loads(json.dumps(schema()))
    assert found["title"] == "Limner graph, version 1"
    assert set(found["properties"]) == set(Document.model_fields)
