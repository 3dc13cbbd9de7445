"""``limner diff``: graphs and pictures side by side, in a table, as data, and as an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo


def rows(shown: str) -> list[list[str]]:
    return [line.split() for line in shown.splitlines()[1:]]


def test_the_same_is_exit_code_0(limner: Any) -> None:
    """A graph and itself have no difference."""
    answer = limner("diff", "text_to_image", "text_to_image")
    assert (answer.code, answer.stdout) == (0, "✓ they mean the same\n")


def test_a_difference_is_exit_code_1(limner: Any) -> None:
    """What differs is a table: nodes that came, settings with both values."""
    limner("new", "mine", "--from", "lora", "--here", "--set", "steps=3")
    answer = limner("diff", "text_to_image", "mine.json")
    assert answer.code == 1
    found = rows(answer.stdout)
    assert ["+", "lora", "ApplyLoRA"] in found
    assert ["~", "denoise", "settings.steps", "null", "(default)", "3"] in found
    assert ["~", "denoise", "wires.transformer", "model.transformer", "lora.transformer"] in found


def test_a_file_that_is_no_graph_is_exit_code_2(limner: Any) -> None:
    """What cannot be read is a fault, not a difference."""
    Path("broken.json").write_text("{")
    for other in ("broken.json", "nowhere.png", "nowhere.json"):
        answer = limner("diff", "text_to_image", other)
        assert (answer.code, answer.stdout) == (2, "")


def test_diff_has_json(limner: Any) -> None:
    """``--json`` gives all of it as data, also where nothing differs."""
    assert limner("diff", "lora", "lora", "--json").json["same"] is True
    answer = limner("diff", "text_to_image", "lora", "--json")
    assert answer.code == 1
    assert answer.json["added"] == {"lora": "ApplyLoRA"}
    change = {"node": None, "place": "parameters.lora", "after": ["lora.path"]}
    assert change in answer.json["changes"]


@pytest.fixture
def pictures(quick: Any) -> tuple[str, str]:
    """Two pictures of two seeds."""
    for seed in ("3", "4"):
        quick("text_to_image", "--set", f"seed={seed}", "--out", f"{seed}.png")
    return "3.png", "4.png"


def test_pictures_are_compared_by_their_graphs(limner: Any, pictures: tuple[str, str]) -> None:
    """Of two pictures the seeds are told, and nothing that is the same."""
    changes = limner("diff", *pictures, "--json").json["changes"]
    assert {change["place"] for change in changes} == {"settings.seed", "settings.path"}
    assert limner("diff", pictures[0], pictures[0]).code == 0


def test_pictures_are_compared_by_what_made_them(limner: Any, pictures: tuple[str, str]) -> None:
    """Other versions and other weights are told, where the graphs are the same."""
    with PIL.Image.open(pictures[0]) as image:
        made = json.loads(image.text["limner"])
        made["software"]["torch"] = "0.1"
        info = PngInfo()
        info.add_itxt("limner", json.dumps(made))
        image.save("old.png", pnginfo=info)
    answer = limner("diff", "old.png", pictures[0])
    assert answer.code == 1
    assert [row[:4] for row in rows(answer.stdout)] == [["!", "version:", "torch", "0.1"]]


def test_a_picture_beside_its_graph(limner: Any, quick: Any) -> None:
    """A picture carries what Graph nodes stood for, so the graph is compared in the same form."""
    nodes = {
        "draw": {"type": "Graph", "settings": {"graph": "text_to_image", "steps": 1, "width": 64, "height": 64}},
        "save": {"type": "SaveImage", "settings": {"path": "o.png"}, "wires": {"images": "draw.image"}},
    }
    Path("outer.json").write_text(json.dumps({"limner": 1, "name": "outer", "nodes": nodes}))
    assert limner("run", "outer.json").code == 0
    assert limner("diff", "outer.json", "o.png").stdout == "✓ they mean the same\n"


def test_words_of_others_steer_no_terminal(limner: Any) -> None:
    """Escape sequences in a graph are shown as text."""
    for name, text in (("a.json", "x"), ("b.json", "\u001b[31m[bold]")):
        nodes = {"t": {"type": "Text", "settings": {"value": text}}}
        Path(name).write_text(json.dumps({"limner": 1, "nodes": nodes}))
    shown = limner("diff", "a.json", "b.json").stdout
    assert "\x1b" not in shown
    assert "\\x1b[31m[bold]" in shown


def test_words_of_others_neither_steer_the_terminal_nor_are_markup(limner: Any) -> None:
    """Types, settings and names of files are shown as they are, whatever brackets and control characters they have."""
    evil = "[/b]\x1b[31m"
    nodes = {"a": {"type": evil, "settings": {evil: evil}}}
    Path("[red].json").write_text(json.dumps({"limner": 1, "nodes": nodes | {"b": {"type": evil}}}))
    nodes["a"]["settings"] = {evil: 1}
    Path("other.json").write_text(json.dumps({"limner": 1, "nodes": nodes}))
    answer = limner("diff", "[red].json", "other.json")
    assert answer.code == 1, answer.stderr
    assert "\x1b" not in answer.stdout
    assert rows(answer.stdout) == [
        ["-", "b", r"[/b]\x1b[31m"],
        ["~", "a", r"settings.[/b]\x1b[31m", r"[/b]\x1b[31m", "1"],
    ]
    assert "[red].json" in answer.stdout.splitlines()[0]
