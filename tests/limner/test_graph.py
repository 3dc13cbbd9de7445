"""Graphs as nodes, composed in a script: the same as in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import limner
from limner import Graph, GraphError, InputError
from limner.engine import graph as engine_graph
from limner.engine.document import parse
from limner.nodes import Integer, LoadModel, PreviewImage, TextEncode

PAIR = {
    "limner": 1,
    "name": "pair",
    "nodes": {
        "shared": {"type": "Integer", "settings": {"value": 7}},
        "text_to_image": {
            "type": "Graph",
            "settings": {"graph": "text_to_image", "prompt": "a yellow circle", "steps": 2},
            "wires": {"seed": "shared"},
        },
        "night": {"type": "Graph", "settings": {"graph": "text_to_image"}, "device": "cpu"},
        "look": {"type": "PreviewImage", "wires": {"images": "text_to_image.image"}},
    },
}


def pair() -> Graph:
    graph = Graph("pair")
    seed = graph.add(Integer(value=7), id="shared")
    day = graph.add_graph("text_to_image", prompt="a yellow circle", steps=2, seed=seed)
    graph.add_graph("text_to_image", id="night", device="cpu")
    graph.add(PreviewImage(), id="look", images=day.image)
    return graph


def test_a_composed_graph_node_is_that_of_the_file() -> None:
    """``add_graph`` makes what the JSON says: values are settings, handles are wires, attributes are outputs."""
    document, faults = parse(PAIR)
    assert faults == []
    assert pair().document() == document


def test_it_can_be_checked() -> None:
    """The graph's nodes are in its place, with the settings that were given."""
    checked = limner.Session().check(pair())
    assert {"text_to_image/denoise", "look"} <= {node.id for node in checked.nodes}


def test_the_handle_has_the_outputs_of_the_graph() -> None:
    """An output that the graph does not offer is an AttributeError with the nearest one."""
    graph = Graph()
    inner = graph.add_graph("text_to_image")
    assert repr(inner) == "<text_to_image: text_to_image>"
    with pytest.raises(AttributeError, match=r"text_to_image has no output 'imag'; did you mean image\?"):
        _ = inner.imag


def test_a_list_of_handles_is_a_list_of_wires() -> None:
    """Several pictures go into an input that takes several; a list of plain values is a setting."""
    graph = Graph()
    one, two = (graph.add_graph("text_to_image").image for _ in range(2))
    graph.add_graph("edit_with_references", id="both", images=[one, two])
    graph.add_graph("edit_with_references", id="files", images=["a.png", "b.png"])
    nodes = graph.document().nodes
    assert nodes["both"].wires == {"images": ["text_to_image.image", "text_to_image_2.image"]}
    assert nodes["files"].settings == {"graph": "edit_with_references", "images": ["a.png", "b.png"]}


def test_a_graph_file_can_be_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path works as a template's name does; the node is called after the file."""
    monkeypatch.chdir(tmp_path)
    inner = Graph("inner")
    inner.output("number", inner.add(Integer(value=1)))
    inner.save("in ner.json")
    inner.save("inner.json")
    graph = Graph()
    assert graph.add_graph(Path("inner.json")).number.wire == "inner.number"
    assert graph.add_graph("in ner.json").number.wire == "graph.number"


@pytest.mark.parametrize(
    ("compose", "error", "said"),
    [
        (lambda graph: graph.add_graph("text_to_imge"), InputError, "did you mean text_to_image?"),
        (lambda graph: graph.add_graph("./none.json"), InputError, "cannot read"),
        (lambda graph: graph.add_graph("text_to_image", id="a b"), GraphError, "no id for a node"),
        (lambda graph: [graph.add_graph("text_to_image", id="x") for _ in "12"], GraphError, "a node 'x' already"),
    ],
)
def test_what_is_wrong_is_said_at_once(compose: Any, error: type[Exception], said: str) -> None:
    """A graph that is not there, and an id that cannot be, are found when the node is added."""
    with pytest.raises(error, match=said):
        compose(Graph())


def test_an_unknown_parameter_is_found_by_checking() -> None:
    """As in a file, the names of settings are checked with everything else."""
    graph = Graph()
    graph.add_graph("text_to_image", promt="a star")
    with pytest.raises(GraphError, match=r"did you mean prompt\?"):
        limner.Session().check(graph)


def test_the_engine_alone_knows_no_graphs() -> None:
    """Without a library there is nothing to find a graph in, and the message says what to do."""
    with pytest.raises(InputError, match=r"Graph\(library=...\)"):
        engine_graph.Graph().add_graph("text_to_image")


def test_a_wire_that_cannot_be_meant_is_refused_when_it_is_drawn() -> None:
    """A wrong name, a node of several outputs, another graph's node, nothing, and a class in place of a node."""
    graph, other = Graph("mine"), Graph("other")
    model = graph.add(LoadModel())
    foreign = other.add(LoadModel())
    for wires, message in (
        ({"texxt": model.text_encoder}, "texxt: TextEncode has no such input"),
        ({"text_encoder": model}, "has 3 outputs"),
        ({"text_encoder": foreign.text_encoder}, "belongs to another graph"),
        ({"text_encoder": None}, "None is no node and no output"),
    ):
        with pytest.raises(GraphError, match=message):
            graph.add(TextEncode(), **wires)
    with pytest.raises(TypeError, match=r"such as TextEncode\(\)"):
        graph.add(TextEncode)
    with pytest.raises(TypeError, match="a text"):
        Graph(3)
    assert list(graph.document().nodes) == ["load_model"]


def test_a_folder_is_no_file_to_save_to(tmp_path: Path) -> None:
    """The message says so, and nothing is left beside it."""
    with pytest.raises(InputError, match="is a folder"):
        Graph("mine").save(tmp_path)
    assert list(tmp_path.iterdir()) == []
