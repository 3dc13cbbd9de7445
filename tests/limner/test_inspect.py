"""``limner inspect``: what a picture says of its making, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from limner.engine.context import Provenance
from limner.engine.testing import FakeContext
from limner.nodes import SaveImage
from limner.nodes.values import Image

COMFYUI = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox"}}}


def foreign(name: str = "comfy.png") -> None:
    info = PngInfo()
    info.add_text("prompt", json.dumps(COMFYUI))
    PIL.Image.new("RGB", (8, 8)).save(name, pnginfo=info)


def carrying(graph: Any, name: str = "a.png", **parts: Any) -> None:
    """A picture that says to be made by a graph."""
    import numpy as np

    ctx = FakeContext(provenance=Provenance(json.dumps(graph), **parts))
    SaveImage(path=name).run(ctx, Image(np.zeros((1, 8, 8, 3), np.uint8)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_says_how_it_was_really_made(limner: Any, quick: Any, suffix: str) -> None:
    """With what the graph left to the model, versions, device and the hash of the model."""
    assert quick("text_to_image", "--out", f"a{suffix}").code == 0
    answer = limner("inspect", f"a{suffix}")
    assert answer.code == 0
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert ["guidance", "2.0", "default"] in lines
    assert ["denoise", "Denoise", "steps", "2"] in lines
    (model,) = [line for line in lines if line[:2] == ["model", "tiny"]]
    assert model[2].startswith("sha256:")
    for word in ("text_to_image, 5 nodes", "torch", "cpu ("):
        assert word in answer.stdout
    (found,) = limner("inspect", f"a{suffix}", "--json").json
    assert (found["width"], found["height"]) == (64, 64)
    assert found["provenance"]["resolved"]["denoise"]["guidance"] == 2.0
    assert {"limner", "torch", "pillow", "python"} <= set(found["provenance"]["software"])
    assert found["provenance"]["hardware"]["cpu"]


def test_the_graph_alone_can_be_run(limner: Any, quick: Any) -> None:
    """``--graph`` writes what a graph file holds, and nothing else to stdout."""
    quick("text_to_image", "--set", "prompt=ein Füchslein, 红", "--out", "a.png")
    answer = limner("inspect", "a.png", "--graph")
    assert "Füchslein, 红" in answer.stdout
    Path("again.json").write_text(answer.stdout)
    assert limner("validate", "again.json").code == 0
    assert limner("inspect", "a.png", "a.png", "--graph").code == 2


def test_every_picture_of_a_folder_is_told(limner: Any) -> None:
    """Ours, another program's, one that says nothing, and one that is none: each says what it is."""
    Path("all").mkdir()
    foreign("all/comfy.png")
    carrying({"nodes": {}}, "all/ours.png")
    PIL.Image.new("RGB", (8, 8)).save("all/plain.jpg")
    Path("all/text.webp").write_bytes(b"no picture")
    Path("all/notes.txt").write_bytes(b"not looked at")
    answer = limner("inspect", "all")
    assert answer.code == 2
    assert "made by  ComfyUI: a graph of 1 node" in answer.stdout
    assert "all/ours.png  PNG, 8 x 8\ngraph    graph, 0 nodes" in answer.stdout
    assert "all/plain.jpg  JPEG, 8 x 8\nsays nothing of how it was made" in answer.stdout
    assert "all/text.webp is no picture that can be read" in answer.stderr
    assert "notes" not in answer.stdout + answer.stderr
    rows = limner("inspect", "all", "--json").json
    assert [Path(row["path"]).name for row in rows] == ["comfy.png", "ours.png", "plain.jpg", "text.webp"]
    assert rows[0]["foreign"]["maker"] == "ComfyUI"
    assert rows[2]["provenance"] is None is rows[2]["foreign"]
    assert "no picture" in rows[3]["error"]


def test_a_foreign_picture_that_is_to_be_replayed_is_named(limner: Any) -> None:
    """Instead of a complaint about its bytes."""
    foreign()
    answer = limner("replay", "comfy.png")
    assert answer.code == 2
    assert "it was made by ComfyUI: a graph of 1 node" in answer.stderr
    assert "limner inspect comfy.png" in answer.stderr


@pytest.mark.parametrize("command", [("run",), ("validate",), ("new", "x", "--here", "--from")])
def test_a_picture_of_comfyui_is_its_workflow_wherever_a_graph_is_asked_for(
    limner: Any, command: tuple[str, ...]
) -> None:
    """One without an output is said to have none, and one that can be mapped is a graph."""
    foreign()
    answer = limner(*command, "comfy.png")
    assert answer.code == 2
    assert "no node of the prompt gives anything" in answer.stderr
    assert "limner import comfy.png" in limner("inspect", "comfy.png").stdout


def test_what_is_no_picture_is_said(limner: Any) -> None:
    """A name that is nothing, and a folder without pictures."""
    Path("empty").mkdir()
    assert "no such file: a.png" in limner("inspect", "a.png").stderr
    assert "empty has no pictures" in limner("inspect", "empty").stderr


@pytest.mark.parametrize(
    "graph",
    [[], 3, None, {"nodes": 3}, {"nodes": {"a": 3}}, {"nodes": {"a": {"type": [], "settings": [], "wires": 1}}}],
)
def test_a_graph_of_any_shape_is_shown_as_far_as_it_goes(limner: Any, graph: Any) -> None:
    """A picture's words are those of whoever made it: shown, never trusted."""
    info = PngInfo()
    info.add_itxt("limner", json.dumps({"graph": graph, "keys": {}, "software": {}}))
    PIL.Image.new("RGB", (8, 8)).save("a.png", pnginfo=info)
    assert limner("inspect", "a.png").code == 0
    assert json.loads(limner("inspect", "a.png", "--graph").stdout) == graph


def test_words_of_others_cannot_steer_the_terminal(limner: Any) -> None:
    """Not from a prompt, a name, a hash or a foreign text; ``--graph`` stays JSON that says the same."""
    evil = "\x1b[31m\x9b2J\u202e"
    carrying(
        {"name": evil, "nodes": {evil: {"type": evil, "settings": {"prompt": evil}}}}, sources={evil: {evil: evil}}
    )
    for option in ((), ("--json",), ("--graph",)):
        shown = limner("inspect", "a.png", *option).stdout
        assert not any(char in shown for char in "\x1b\x9b\u202e"), option
    assert json.loads(limner("inspect", "a.png", "--graph").stdout)["name"] == evil


def test_words_of_others_are_no_markup(limner: Any) -> None:
    """What stands in brackets is shown, wherever it is."""
    word = "[red]fox[/red]"
    carrying({"name": word, "nodes": {word: {"type": word, "settings": {word: word}}}}, sources={word: {word: word}})
    assert limner("inspect", "a.png").stdout.count(word) == 8
    foreign(f"{word.replace('/', '')}.png")
    assert "[red]" in limner("inspect", "[red]fox[red].png").stdout


def test_a_large_graph_is_summed_up(limner: Any) -> None:
    """A hundred nodes are shown, the others counted."""
    carrying({"nodes": {f"n{i}": {"type": "Text", "settings": {"value": "x"}} for i in range(5000)}})
    lines = limner("inspect", "a.png").stdout.splitlines()
    assert "and 4,900 more nodes: --json has them all" in lines
    assert len(lines) < 120


def test_a_picture_is_a_graph_to_run(limner: Any, quick: Any) -> None:
    """``run`` takes it with other settings, and does not replace the picture that it came from."""
    quick("text_to_image", "--out", "a.png")
    before = Path("a.png").read_bytes()
    answer = limner("run", "a.png", "--set", "seed=5")
    assert answer.stdout == "a-2.png\n"
    assert Path("a.png").read_bytes() == before
    (found,) = limner("inspect", "a-2.png", "--json").json
    assert found["provenance"]["graph"]["nodes"]["denoise"]["settings"]["seed"] == 5
