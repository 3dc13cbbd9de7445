"""``limner show``: a graph as a tree and as a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.drawing import Card, Drawing, Edge, Port
from limner.layout import layout_of
from limner.svg import svg_of
from limner.tree import tree_lines

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def drawing(edges: list[tuple[int, int]], count: int) -> Drawing:
    """Nodes 0, 1, ... with one output, and an input for each wire."""
    into = {n: [source for source, target in edges if target == n] for n in range(count)}
    cards = {
        str(n): Card(str(n), "Sum", tuple(Port(f"in{i}") for i in range(len(into[n]))), (Port("out"),), ())
        for n in range(count)
    }
    wires = [Edge(str(source), 0, str(n), i) for n in range(count) for i, source in enumerate(into[n])]
    return Drawing("sums", "", cards, tuple(wires))


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    count = draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    return drawing(draw(st.lists(st.sampled_from(pairs), max_size=25)) if pairs else [], count)


def shown(limner: Any, name: str, *options: str) -> ElementTree.Element:
    answer = limner("show", name, "--svg", "out.svg", *options)
    assert (answer.code, answer.stdout) == (0, "out.svg\n")
    return ElementTree.fromstring(Path("out.svg").read_text())


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_a_tree_goes_from_sources_to_goals(limner: Any) -> None:
    """Each node has its type and the settings that are not defaults, below what it needs last."""
    lines = limner("show", "text_to_image", "--set", "steps=4", "--set", "seed=0").stdout.splitlines()
    assert lines[0] == "text_to_image  Prompt to picture."
    assert lines[1] == "model  LoadModel"
    assert "│  └─ conditioning: denoise  Denoise  steps 4" in lines
    assert "└─ vae: → decode" in lines


@given(drawings())
def test_every_node_is_in_the_tree_once(drawing: Drawing) -> None:
    """However a graph is wired, each node is drawn once, and every wire has a line."""
    lines = [line.plain for line in tree_lines(drawing)]
    nodes = sorted(line.split("  ")[-2].split()[-1] for line in lines if line.endswith("Sum"))
    assert nodes == sorted(drawing.cards)
    assert len([line for line in lines if "in" in line]) == len(drawing.edges)


def test_a_long_chain_stays_in_the_terminal() -> None:
    """A chain of thousands is drawn without recursion, and no line begins far to the right."""
    lines = list(tree_lines(drawing([(n, n + 1) for n in range(5000)], 5001)))
    assert max(len(line.plain) for line in lines) < 120
    assert sum("Sum" in line.plain for line in lines) == 5001


@given(drawings())
def test_no_two_nodes_overlap(drawing: Drawing) -> None:
    """Nodes of one layer stand apart, wires go to the right, and nothing is above the top."""
    layout = layout_of(drawing, lambda name: 40.0 + int(name), lambda wire: (20.0, 20.0 + wire.input))
    for name in drawing.cards:
        for other in drawing.cards:
            if name < other and layout.layer[name] == layout.layer[other]:
                first, last = sorted((name, other), key=lambda one: layout.y[one])
                assert layout.y[first] + 40 + int(first) < layout.y[last]
    for number, wire in enumerate(drawing.edges):
        passed = [layer for layer, _ in layout.passes[number]]
        assert passed == list(range(layout.layer[wire.source] + 1, layout.layer[wire.target]))
        assert layout.layer[wire.source] < layout.layer[wire.target]
    assert min(layout.y.values()) >= 0
    assert max(layout.y.values()) <= layout.height


def test_a_chain_is_straight() -> None:
    """Where nothing else is in the way, a wire has no bend."""
    layout = layout_of(drawing([(0, 1), (1, 2)], 3), lambda _: 50.0, lambda wire: (20.0, 20.0))
    assert layout.y["0"] == pytest.approx(layout.y["1"], abs=1e-6)
    assert layout.y["1"] == pytest.approx(layout.y["2"], abs=1e-6)


def test_a_picture_has_all_of_a_graph(limner: Any) -> None:
    """Names, types, ports, settings and wires are in the SVG, with a title and a description for readers aloud."""
    root = shown(limner, "lora_stack", "--set", "weight=0.5")
    assert {"first", "ApplyLoRA", "transformer", "conditioning", "weight 0.5", "decode"} <= set(texts(root))
    assert root.find(f"{SVG}title").text == "lora_stack"  # type: ignore[union-attr]  # it is there
    assert "first (ApplyLoRA)" in root.find(f"{SVG}desc").text  # type: ignore[union-attr, operator]  # likewise
    wires = {wire.find(f"{SVG}title").text for wire in root.iter(f"{SVG}path") if "wire" in wire.get("class", "")}  # type: ignore[union-attr]  # likewise
    assert "second.transformer → denoise.transformer" in wires
    assert len(wires) == 8


def test_a_wire_has_the_colour_of_its_type(limner: Any) -> None:
    """Both ends and the wire are of one class, also behind a node that passes on the type of what it takes."""
    root = shown(limner, "nf4_20gb")
    classes = {
        wire.find(f"{SVG}title").text: wire.get("class")  # type: ignore[union-attr]  # it is there
        for wire in root.iter(f"{SVG}path")
        if "wire" in wire.get("class", "")
    }
    through = classes["transformer.model → denoise.transformer"]
    assert through == classes["model.transformer → transformer.model"]
    assert through != classes["text_encoder.model → encode.text_encoder"]


HOSTILE = ["<script>alert(1)</script>", "]]>&<!--", '" onload="x', "\u0000\u001b[31m", "\u202eevil", "\ufffe", "'"]


@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_others_are_only_words(limner: Any, text: str) -> None:
    """Names, types, ports and values stay text: no element or attribute comes of them, and no escape sequence."""
    nodes = {
        "t": {"type": "Text", "settings": {"value": text}},
        "x": {"type": text, "settings": {text: text}, "wires": {text: "t"}},
    }
    graph = {"limner": 1, "name": "hostile", "description": text, "nodes": nodes}
    Path("graph.json").write_text(json.dumps(graph))
    root = shown(limner, "graph.json")
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "text", "tspan", "g", "path", "circle"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    assert not re.search("[\x00-\x08\x1b\u202e\ufffe]", Path("out.svg").read_text())
    assert not re.search("[\x00-\x08\x1b\u202e]", limner("show", "graph.json").stdout)


def test_long_and_wide_texts_stay_on_their_card(limner: Any) -> None:
    """No line of a setting is wider than a card, whatever the script; the whole text is in the card's title."""
    text = "狐狸坐在木桌上" * 30 + "x" * 300
    graph = {"limner": 1, "nodes": {"t": {"type": "Text", "settings": {"value": text}}}}
    Path("graph.json").write_text(json.dumps(graph))
    root = shown(limner, "graph.json")
    values = [tspan.text or "" for tspan in root.iter(f"{SVG}tspan") if tspan.get("class") == "value"]
    assert 1 < len(values) <= 5
    assert all(sum(2 if ord(char) > 0x2E80 else 1 for char in value) <= 33 for value in values)
    assert any(text in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_a_graph_in_a_graph_is_a_node(limner: Any) -> None:
    """A Graph node has the outputs of its graph as ports."""
    nodes = {
        "day": {"type": "Graph", "settings": {"graph": "text_to_image"}},
        "look": {"type": "PreviewImage", "wires": {"images": "day.image"}},
    }
    Path("graph.json").write_text(json.dumps({"limner": 1, "nodes": nodes}))
    assert {"day", "Graph", "graph text_to_image", "image"} <= set(texts(shown(limner, "graph.json")))
    assert "└─ images: look  PreviewImage" in limner("show", "graph.json").stdout


def test_a_graph_with_faults_is_drawn(limner: Any) -> None:
    """What is not complete can be looked at; a cycle has no order, and is named."""
    assert limner("show", "lora").code == 0
    cycle = {name: {"type": "VAEDecode", "wires": {"latent": other}} for name, other in (("a", "b"), ("b", "a"))}
    Path("graph.json").write_text(json.dumps({"limner": 1, "nodes": cycle}))
    answer = limner("show", "graph.json")
    assert answer.code == 2
    assert "the wires form a cycle" in answer.stderr
    assert limner("show", "lora", "--set", "nothing=1").code == 2


def test_a_picture_is_shown_by_its_graph(limner: Any, quick: Any) -> None:
    """The graph inside a picture is drawn."""
    quick("text_to_image", "--set", "seed=3", "--out", "a.png")
    assert "denoise  Denoise  steps 2  seed 3" in limner("show", "a.png").stdout.replace("  width 64  height 64", "")


@pytest.mark.parametrize(("name", "source"), [("edit_with_references", "docs/cli.md"), ("star", "README.md")])
def test_the_pictures_in_the_documentation_are_drawn_so(limner: Any, name: str, source: str) -> None:
    """What the pages show is what the command draws."""
    graph = name
    if name == "star":
        found = re.search(r"^```json\n(.*?)^```", (ROOT / source).read_text(), re.MULTILINE | re.DOTALL)
        assert found is not None
        graph = "star.json"
        Path(graph).write_text(found[1])
    shown(limner, graph)
    assert Path("out.svg").read_text() == (ROOT / "docs" / "images" / f"{name}.svg").read_text()


def test_an_svg_needs_no_fonts_and_no_network() -> None:
    """Fonts are generic, and nothing is loaded from anywhere."""
    text = svg_of(drawing([(0, 1)], 2))
    assert set(re.findall(r"font-family:([^;}]+)", text)) == {"system-ui,sans-serif", "monospace"}
    assert "url(" not in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
