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


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_check_proves_pictures_that_were_squeezed(limner: Any, quick: Any, suffix: str) -> None:
    """What is compared are the pixels as they are decoded; another quality is another picture."""
    assert quick("text_to_image", "--out", f"a{suffix}").code == 0
    assert limner("replay", f"a{suffix}", "--check").stdout == f"✓ a{suffix}: the same pixels\n"
    with PIL.Image.open(f"a{suffix}") as image:
        image.save(f"b{suffix}", quality=30, xmp=image.info["xmp"])
    answer = limner("replay", f"b{suffix}", "--check", "--json")
    assert answer.code == 1
    assert not answer.json["is_same"]
    assert answer.json["largest_difference"] > 1
    assert 20 < answer.json["psnr_db"] < 60


def test_check_says_that_a_picture_was_converted(limner: Any, picture: Path) -> None:
    """A PNG whose story went along into a JPEG is not what its graph saves."""
    from limner.nodes._xmp import packet

    with PIL.Image.open(picture) as image:
        image.save("b.jpg", quality=80, xmp=packet(image.text["limner"]))
    answer = limner("replay", "b.jpg", "--check")
    assert answer.code == 1
    assert "; its graph saves .png" in answer.stdout


def test_a_picture_that_is_cut_off_is_refused_before_anything_runs(limner: Any, picture: Path) -> None:
    """Its story is at the front and can be read, its pixels cannot."""
    Path("b.png").write_bytes(picture.read_bytes()[:-2000])
    answer = limner("replay", "b.png", "--check")
    assert answer.code == 2
    assert "b.png is damaged" in answer.stderr
    assert "nodes to run" not in answer.stderr


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
    assert "it is 32 x 32, and its graph made 64 x 64" in answer.stdout


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


def test_what_a_pattern_matches_now_is_named(limner: Any, quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed, one more, and one that is gone, also in the home folder; another name alone is no change."""
    monkeypatch.setenv("HOME", str(Path.cwd()))
    for name, color in (("a", "red"), ("b", "green"), ("c", "white")):
        PIL.Image.new("RGB", (64, 64), color).save(f"ref-{name}.png")
    assert quick("edit_with_references", "--set", "images=~/ref-*.png", "--out", "out.png").code == 0
    Path("ref-c.png").rename("ref-d.png")
    assert "! " not in limner("replay", "out.png", "--check").stderr
    PIL.Image.new("RGB", (64, 64), "blue").save("ref-a.png")
    Path("ref-b.png").unlink()
    PIL.Image.new("RGB", (64, 64), "black").save("ref-e.png")
    said = limner("replay", "out.png", "--check").stderr
    for name, change in (("a", "sha256:"), ("b", "sha256:"), ("e", "not read -> sha256:")):
        assert f"! another content than then: references: ~/ref-{name}.png: {change}" in said
    assert "-> not read" in said
    assert "ref-d" not in said


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


def story(path: Path) -> dict[str, Any]:
    with PIL.Image.open(path) as image:
        return dict(json.loads(image.text["limner"]))


def test_all_that_changed_is_said_before_anything_runs(limner: Any, picture: Path) -> None:
    """Content of sources, settings of their own, versions, devices, hardware; what was not recorded is no change."""
    told = story(picture)
    told["sources"] |= {"model": {"tiny": "sha256:" + "0" * 64}, "nobody": {"x": "sha256:1"}}
    told["resolved"]["denoise"] |= {"guidance": 3.5, "of_old": 1}
    told["software"] |= {"pillow": "1.0", "gone": "1"}
    told["devices"] |= {"denoise": "cuda:0", "decode": "cuda:0"}
    told["hardware"] = {"cpu": "an abacus", "cuda:0": "a card"}
    edited(picture, keep=json.dumps(told))
    answer = limner("replay", picture, "--check", "--json")
    found = {(change["kind"], change["what"]): (change["then"], change["now"]) for change in answer.json["changes"]}
    assert found.pop(("source", "model: tiny"))[0] == "sha256:" + "0" * 64
    assert found.pop(("setting", "denoise.guidance")) == ("3.5", "2.0")
    assert found.pop(("version", "pillow"))[0] == "1.0"
    assert found.pop(("version", "gone")) == ("1", "not installed")
    assert found.pop(("device", "denoise, decode")) == ("cuda:0", "cpu")
    assert found.pop(("hardware", "cpu"))[0] == "an abacus"
    assert found == {}
    said, _, ran = answer.stderr.partition("nodes to run")
    assert said.count("! ") == 6
    assert "! " not in ran


def test_a_lora_that_changed_is_named(limner: Any, quick: Any) -> None:
    """By the hash of its file, not by its name or time."""
    lora = next(path for path in (files("limner.tiny") / "lora").iterdir() if path.name.endswith(".safetensors"))
    Path("a.safetensors").write_bytes(lora.read_bytes())
    assert quick("lora", "--set", "lora=a.safetensors", "--out", "a.png").code == 0
    Path("a.safetensors").touch()
    assert "! " not in limner("replay", "a.png", "--check").stderr
    content = bytearray(lora.read_bytes())
    content[-1] ^= 1
    Path("a.safetensors").write_bytes(content)
    said = limner("replay", "a.png", "--check").stderr
    assert "! another content than then: " in said
    assert ": a.safetensors: sha256:" in said


def test_nothing_but_pictures_is_made_again(limner: Any, picture: Path) -> None:
    """A graph that also saves a model writes none: what a picture of others holds must not touch other folders."""
    told = story(picture)
    told["graph"]["nodes"]["other"] = {
        "type": "SaveModel",
        "settings": {"path": "models/mine", "overwrite": True},
        "wires": {"vae": "model.vae"},
    }
    told["graph"]["parameters"]["folder"] = "other.path"
    edited(picture, keep=json.dumps(told))
    assert limner("replay", picture, "--out", "b.png").code == 0
    assert limner("replay", picture, "--check").code == 1  # its pixels were edited, but all of it ran
    assert not Path("models").exists()


def test_a_graph_to_run_replaces_no_model(limner: Any, picture: Path) -> None:
    """``run`` of a picture does not replace a model folder either, whatever its graph says."""
    told = story(picture)
    settings = {"path": "mine", "overwrite": True}
    told["graph"]["nodes"]["other"] = {"type": "SaveModel", "settings": settings, "wires": {"vae": "model.vae"}}
    edited(picture, keep=json.dumps(told))
    Path("mine").mkdir()
    Path("mine/model_index.json").write_text("{}")
    answer = limner("run", picture)
    assert answer.code == 2
    assert "mine exists" in answer.stderr
