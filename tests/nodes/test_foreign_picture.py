"""Pictures of other programs are said to be theirs, with what is inside; what is broken in them breaks nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from limner.engine.errors import InputError
from limner.nodes.foreign_picture import recognize
from limner.nodes.provenance import read_picture_story, read_provenance

COMFYUI = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 5, "positive": ["6", 0]}},
    "4": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux2-dev.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red fox", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
}
A1111 = "a red fox, snow\nNegative prompt: blurry\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512"


def png(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    PIL.Image.new("RGB", (4, 4)).save(path, "PNG", pnginfo=info)
    return path


def test_comfyuis_graph_is_described(tmp_path: Path) -> None:
    """Its node classes with how many there are, its prompts and its models."""
    found = read_picture_story(png(tmp_path / "a.png", prompt=json.dumps(COMFYUI), workflow="{}"))
    assert found.provenance is None
    assert found.foreign is not None
    assert (found.foreign.maker, found.foreign.summary) == ("ComfyUI", "a graph of 4 nodes")
    assert found.foreign.details == (
        ("nodes", "CLIPTextEncode x2, KSampler, UNETLoader"),
        ("prompt", "a red fox"),
        ("prompt", "blurry"),
        ("model", "flux2-dev.safetensors"),
    )


def test_comfyuis_editor_graph_is_enough(tmp_path: Path) -> None:
    """Where only the editor's form is there, which has lists of values without names."""
    nodes = [{"type": "CLIPTextEncode", "widgets_values": ["a fox", 3]}, {"type": "KSampler"}]
    found = recognize({"workflow": json.dumps({"nodes": nodes})})
    assert found is not None
    assert found.details == (("nodes", "CLIPTextEncode, KSampler"), ("prompt", "a fox"))


def test_comfyuis_webp_is_recognized(tmp_path: Path) -> None:
    """There its texts are in EXIF tags that are meant for cameras."""
    exif = PIL.Image.Exif()
    exif[0x010F] = "workflow:{}"
    exif[0x0110] = "prompt:" + json.dumps(COMFYUI)
    PIL.Image.new("RGB", (4, 4)).save(tmp_path / "a.webp", exif=exif)
    found = read_picture_story(tmp_path / "a.webp").foreign
    assert found is not None
    assert found.summary == "a graph of 4 nodes"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_lines_of_a1111_are_told_apart(tmp_path: Path, suffix: str) -> None:
    """Prompt, negative prompt and settings, from a PNG's text or from EXIF."""
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        png(path, parameters=A1111)
    else:
        exif = PIL.Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
        PIL.Image.new("RGB", (4, 4)).save(path, exif=exif)
    found = read_picture_story(path).foreign
    assert found is not None
    assert found.maker.startswith("AUTOMATIC1111")
    assert dict(found.details) == {
        "prompt": "a red fox, snow",
        "negative prompt": "blurry",
        "settings": A1111.splitlines()[-1],
    }


def test_our_own_lines_are_not_taken_for_those_of_others() -> None:
    """Where a program kept the few lines and dropped the rest."""
    found = recognize({"parameters": f"{A1111}, Version: Limner 0.1.0"})
    assert found is not None
    assert found.maker == "Limner, its graph taken out since"


def test_a_foreign_graph_is_no_graph_to_run(tmp_path: Path) -> None:
    """The refusal says whose it is, what is inside, and what shows it."""
    with pytest.raises(InputError, match=r"made by ComfyUI: a graph of 4 nodes\n.*limner inspect"):
        read_provenance(png(tmp_path / "a.png", prompt=json.dumps(COMFYUI)))


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"Title": "Holiday", "Software": "GIMP"},
        {"prompt": "a fox"},
        {"prompt": "[" * 100_000},
        {"prompt": "[]", "workflow": "3"},
        {"prompt": '{"1": 3, "2": {"class_type": []}}'},
        {"workflow": '{"nodes": {"a": 1}}'},
        {"UserComment": "Taken in Rome"},
    ],
    ids=str,
)
def test_what_is_not_known_is_not_guessed(texts: dict[str, str]) -> None:
    """Texts of the same names with something else in them are no reason to fail, nor to say who made them."""
    assert recognize(texts) is None


@pytest.mark.parametrize("value", [None, 3, [], {}, [[1]], {"text": {"text": []}}, "x" * 10_000], ids=str)
def test_nodes_of_any_shape_are_counted(value: Any) -> None:
    """What a node holds may be anything; its class is what counts."""
    for graph in ({"1": {"class_type": "CLIPTextEncode", "inputs": value}},):
        found = recognize({"prompt": json.dumps(graph)})
        assert found is not None
        assert found.details[0] == ("nodes", "CLIPTextEncode")
    found = recognize({"workflow": json.dumps({"nodes": [{"type": "CLIPTextEncode", "widgets_values": value}]})})
    assert found is not None
