"""``limner replay``: the picture is the recipe, and the proof."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo


@pytest.fixture
def picture(quick: Any) -> Path:
    """A picture that Limner made."""
    assert quick("text_to_image", "--set", "seed=3", "--out", "a.png").code == 0
    return Path("a.png")


def edited(path: Path, keep: str | None = None) -> None:
    """Change one pixel by one step, and keep the text inside as it is, or put another in its place."""
    with PIL.Image.open(path) as image:
        image.load()
        text = image.text["limner"] if keep is None else keep
        red, green, blue = image.getpixel((3, 4))
        image.putpixel((3, 4), (red ^ 1, green, blue))
        info = PngInfo()
        info.add_itxt("limner", text)
        image.save(path, pnginfo=info)


def pixels(path: Path | str) -> bytes:
    with PIL.Image.open(path) as image:
        return image.tobytes()


def test_replay_makes_it_again(limner: Any, picture: Path) -> None:
    """``replay`` runs the graph inside, from the cache where it can."""
    answer = limner("replay", picture, "--out", "b.png")
    assert (answer.code, answer.stdout) == (0, "b.png\n")
    assert pixels("b.png") == pixels(picture)
    assert "= decode" in answer.stderr


def test_replay_never_replaces_the_picture(limner: Any, picture: Path) -> None:
    """Without ``--out`` the original stays as it is, even where the graph inside would replace it."""
    before = picture.read_bytes()
    answer = limner("replay", picture)
    assert answer.stdout == "a-2.png\n"
    assert picture.read_bytes() == before
    assert pixels("a-2.png") == pixels(picture)


def test_check_proves_the_pixels(limner: Any, picture: Path) -> None:
    """``--check`` computes everything anew and finds the same pixels; no file is left."""
    answer = limner("replay", picture, "--check")
    assert answer.code == 0
    assert answer.stdout == "✓ a.png: the same pixels\n"
    assert "✓ denoise" in answer.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "cache"]


def test_check_finds_a_tampered_pixel(limner: Any, picture: Path) -> None:
    """One step in one channel of one pixel is enough."""
    edited(picture)
    answer = limner("replay", picture, "--check")
    assert answer.code == 1
    assert answer.stdout == "✗ a.png: not the same pixels; 0.02% of them differ, by up to 1 of 255 (PSNR 89.0 dB)\n"


def test_check_takes_any_picture_of_a_batch(limner: Any, quick: Any) -> None:
    """Each picture of a batch proves itself."""
    quick("text_to_image", "--set", "batch=2", "--out", "two.png")
    assert limner("replay", "two-2.png", "--check").code == 0


def test_check_says_when_the_size_differs(limner: Any, picture: Path) -> None:
    """A picture that was scaled is not the same."""
    with PIL.Image.open(picture) as image:
        info = PngInfo()
        info.add_itxt("limner", image.text["limner"])
        image.resize((32, 32)).save("b.png", pnginfo=info)
    answer = limner("replay", "b.png", "--check")
    assert answer.code == 1
    assert "another size" in answer.stdout


def test_other_software_is_mentioned(limner: Any, picture: Path) -> None:
    """Where the versions that decide the bytes differ, replay says so before anything else."""
    with PIL.Image.open(picture) as image:
        text = image.text["limner"]
    edited(picture, keep=text.replace('"torch": "', '"torch": "0.'))
    assert "made with another version: torch: 0." in limner("replay", picture, "--check").stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "carries no graph"),
        ("", "carries a graph that cannot be read"),
        ("{}", "carries a graph that cannot be read"),
        ("[" * 100_000, "carries a graph that cannot be read"),
        ('{"graph": [], "keys": {}, "software": {}}', "a graph is a JSON object"),
        ('{"graph": {"limner": 9}, "keys": {}, "software": {}}', "format version 9"),
        ('{"graph": {"limner": 1, "nodes": {"a": {"type": "Evil"}}}, "keys": {}, "software": {}}', "unknown node type"),
    ],
)
def test_a_picture_without_a_sound_graph_is_refused(limner: Any, text: str | None, message: str) -> None:
    """A foreign picture, or one whose text was damaged, is exit code 2."""
    info = PngInfo()
    if text is not None:
        info.add_itxt("limner", text)
    PIL.Image.new("RGB", (64, 64)).save("foreign.png", pnginfo=info)
    answer = limner("replay", "foreign.png", "--check")
    assert answer.code == 2
    assert message in answer.stderr


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"text", "no picture that can be read")])
def test_a_file_that_is_no_picture_is_refused(limner: Any, content: bytes | None, message: str) -> None:
    """What is not a picture is said not to be one."""
    if content is not None:
        Path("a.png").write_bytes(content)
    answer = limner("replay", "a.png")
    assert answer.code == 2
    assert message in answer.stderr


def test_a_graph_inside_that_saves_nothing_cannot_be_compared(limner: Any, picture: Path) -> None:
    """A graph without SaveImage inside a picture is a fault of that picture, in words."""
    text = '{"graph": {"limner": 1, "nodes": {"a": {"type": "Text"}}}, "keys": {}, "software": {}}'
    edited(picture, keep=text)
    answer = limner("replay", picture, "--check")
    assert answer.code == 2
    assert "has no SaveImage node" in answer.stderr


def test_a_reference_that_changed_is_named(limner: Any, quick: Any) -> None:
    """Before anything runs, replay says which node reads a file that is not what it was."""
    PIL.Image.new("RGB", (64, 64), "red").save("reference.png")
    made = quick("edit_with_references", "--set", "images=reference.png", "--out", "a.png")
    assert made.code == 0, made.stderr
    assert "! " not in limner("replay", "a.png", "--check").stderr
    PIL.Image.new("RGB", (64, 64), "blue").save("reference.png")
    answer = limner("replay", "a.png", "--check")
    assert answer.code == 1
    assert "! another content than then: references: reference.png: sha256:" in answer.stderr


def test_a_graph_of_graphs_needs_no_other_file(limner: Any, quick: Any, tmp_path: Path) -> None:
    """The picture of a graph with Graph nodes carries what they stood for."""
    nodes = {
        "draw": {"type": "Graph", "settings": {"graph": "./inner.json", "seed": 4}},
        "save": {"type": "SaveImage", "settings": {"path": "o.png"}, "wires": {"images": "draw.image"}},
    }
    template = json.loads((files("limner.graphs") / "text_to_image.json").read_text())
    template["nodes"]["denoise"]["settings"] = {"steps": 1}
    Path("inner.json").write_text(json.dumps(template))
    Path("outer.json").write_text(json.dumps({"limner": 1, "name": "outer", "nodes": nodes}))
    assert limner("run", "outer.json").code == 0
    Path("inner.json").unlink()
    assert limner("replay", "o.png", "--check").code == 0
