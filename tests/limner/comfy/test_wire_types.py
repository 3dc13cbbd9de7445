"""Types of wires in the protocol."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from limner.comfy.wire_types import WireTypes, wire_type
from limner.engine.context import Context
from limner.engine.node import Node, NodeType
from limner.engine.registry import Registry
from limner.nodes import NODES, Quantize, SaveImage
from limner.nodes.values import VAE, Image, ReferenceLatents, TextEncoder, TextGenerator, Transformer


class Anything(Node):
    """Takes what comes."""

    def run(self, ctx: Context, value: object) -> object:
        return value


@dataclass(frozen=True, eq=False)
class Portrait(Image):
    """A picture, and more."""


class Pose(Node):
    """Gives a picture of a class of its own."""

    def run(self, ctx: Context) -> Portrait:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Transformer, "MODEL"),
        (TextEncoder, "CLIP"),
        (VAE, "VAE"),
        (ReferenceLatents, "REFERENCE_LATENTS"),
        (TextGenerator, "TEXT_GENERATOR"),
        (int, "INT"),
        (float, "FLOAT"),
        (str, "STRING"),
        (bool, "BOOLEAN"),
        (object, "*"),
    ],
)
def test_types_are_called_as_clients_know_them(value: type, name: str) -> None:
    """Where ComfyUI has a word, it is that one."""
    assert wire_type(value) == name


def test_an_input_names_all_that_fits() -> None:
    """An input takes its own class and every subclass that some node makes, and says so."""
    types = WireTypes(Registry([*NODES, Pose]))
    save = NodeType.of(SaveImage)
    assert types.of_input(save.inputs["images"]) == "IMAGE,PORTRAIT"
    assert types.of_output(NodeType.of(Pose).outputs[0]) == "PORTRAIT"


def test_a_mere_base_is_no_type_of_the_protocol() -> None:
    """What no node makes as such is called by what is made; an output that keeps its input's type likewise."""
    quantize = NodeType.of(Quantize)
    types = WireTypes(Registry(NODES))
    assert set(types.of_input(quantize.inputs["model"]).split(",")) == {"MODEL", "CLIP"}
    assert types.of_output(quantize.outputs[0]) == types.of_input(quantize.inputs["model"])


def test_an_input_for_anything_takes_anything() -> None:
    """The protocol has a sign for that."""
    node = NodeType.of(Anything)
    types = WireTypes(Registry([*NODES, Anything]))
    assert (types.of_input(node.inputs["value"]), types.of_output(node.outputs[0])) == ("*", "*")


def test_every_type_has_a_color() -> None:
    """Types of others get one too, the same each time."""
    colors = WireTypes(Registry([*NODES, Pose])).colors()
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors.values())
    assert {"MODEL", "IMAGE", "PORTRAIT", "REGION", "STRING"} <= set(colors)
    assert colors["PORTRAIT"] == WireTypes(Registry([Pose])).colors()["PORTRAIT"]
