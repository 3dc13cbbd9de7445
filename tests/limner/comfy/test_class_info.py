"""What the protocol tells of node types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from limner.comfy.class_info import Here, class_info
from limner.comfy.classes import Classes
from limner.engine.context import Context
from limner.engine.node import Node
from limner.engine.registry import Registry
from limner.nodes import NODES

CLASSES = Classes(Registry(NODES))
HERE = Here(["cuda:0", "cpu"], ["photo.png"])


def info(name: str, classes: Classes = CLASSES) -> dict[str, Any]:
    return class_info(classes[name], classes, HERE)


@pytest.mark.parametrize("name", CLASSES)
def test_words_are_plain(name: str) -> None:
    """The editor shows no markup, and breaks lines where it has no more room: ours are not kept."""
    found = info(name)
    assert "``" not in json.dumps(found)
    for paragraph in found["description"].split("\n\n"):
        assert all(line.startswith(("-", "*", " ")) for line in paragraph.split("\n")[1:])


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_told_of_whole(name: str) -> None:
    """Each input in its place, each output with name and type, words for people, all of it JSON."""
    found = json.loads(json.dumps(info(name)))
    node_type = CLASSES[name].node_type
    for side in ("required", "optional"):
        assert list(found["input"][side]) == found["input_order"][side]
    inputs = found["input"]["required"] | found["input"]["optional"]
    assert set(node_type.inputs) | set(node_type.settings) <= set(inputs)
    ports = len(node_type.outputs)
    assert [len(found[part]) for part in ("output", "output_name", "output_is_list", "output_tooltips")] == [ports] * 4
    assert found["name"] == name
    assert found["description"]
    assert found["display_name"]


def test_sockets_come_before_settings_in_declared_order() -> None:
    """The editor shows them as the node has them; what few need is advanced."""
    required = info("Denoise")["input"]["required"]
    assert list(required)[:6] == ["transformer", "conditioning", "steps", "guidance", "seed", "batch"]
    assert required["transformer"][0] == "MODEL"
    assert required["attention"][1]["advanced"] is True
    assert "advanced" not in required["steps"][1]


def test_optional_sockets_device_and_offload_may_be_left_out() -> None:
    """Device and offload are on each node that computes on a device, and offer what this machine has."""
    optional = info("Denoise")["input"]["optional"]
    assert list(optional) == ["references", "device", "offload"]
    assert optional["device"][0] == ["auto", "cuda:0", "cpu"]
    assert optional["device"][1]["advanced"]
    assert "group leaf" in optional["offload"][0]
    assert "device" not in info("LoadModel")["input"]["optional"]


def test_a_list_grows_sockets() -> None:
    """At least one where the node needs one."""
    kind, options = info("LoadReferenceImages")["input"]["optional"]["images"]
    assert kind == "COMFY_AUTOGROW_V3"
    assert options["template"]["input"]["required"]["image"][0] == "IMAGE"
    assert (options["template"]["prefix"], options["template"]["min"]) == ("image", 0)
    assert info("Compare")["input"]["required"]["images"][1]["template"]["min"] == 1


def test_pictures_can_be_brought() -> None:
    """A setting that names one picture offers those that are here, and a button."""
    kind, options = info("LimnerLoadImage")["input"]["required"]["file"]
    assert kind == ["photo.png"]
    assert options["image_upload"] is True


def test_nodes_that_save_or_show_are_outputs() -> None:
    """A prompt is run for their sake."""
    assert {name for name in CLASSES if info(name)["output_node"]} == {
        "LimnerSaveImage",
        "PreviewImage",
        "SaveImage",
        "SaveImageWebsocket",
        "SaveModel",
        "SaveTable",
    }


def test_people_find_nodes_by_what_they_know() -> None:
    """The names that ComfyUI's users type lead to ours."""
    assert "KSampler" in info("Denoise")["search_aliases"]
    assert "CLIPTextEncode" in info("TextEncode")["search_aliases"]
    assert "CheckpointLoaderSimple" in info("LoadModel")["search_aliases"]


@pytest.mark.parametrize(
    ("name", "title", "category"),
    [
        ("ApplyLoRA", "Apply LoRA", "limner/model"),
        ("LimnerVAEDecode", "VAE Decode", "limner/image"),
        ("VAEDecode", "VAE Decode (ComfyUI)", "comfyui"),
        ("KSamplerSelect", "KSampler Select", "comfyui"),
        ("CLIPTextEncode", "CLIP Text Encode", "comfyui"),
    ],
)
def test_names_are_words(name: str, title: str, category: str) -> None:
    """And of two nodes of one name, ComfyUI's says that it is."""
    assert (info(name)["display_name"], info(name)["category"]) == (title, category)


def test_outputs_of_thin_nodes_are_called_as_in_comfyui() -> None:
    """After their type, where there is one."""
    assert info("UNETLoader")["output_name"] == ["MODEL"]
    assert info("ComfySwitchNode")["output_name"] == ["output"]
    assert info("LoadModel")["output_name"] == ["text_encoder", "transformer", "vae"]


class Choosing(Node):
    """Names something that is here."""

    style: str = "plain"
    files: ClassVar[list[str]] = []

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        return {"style": cls.files}

    def run(self, ctx: Context) -> str:
        return self.style


def test_choices_are_those_of_the_moment() -> None:
    """What came since the last question is among them, and the default always."""
    classes = Classes(Registry([Choosing]))
    assert info("Choosing", classes)["input"]["required"]["style"][0] == ["plain"]
    Choosing.files.append("new")
    assert info("Choosing", classes)["input"]["required"]["style"][0] == ["plain", "new"]
