"""What holds for all nodes: how they are declared, and that listing them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from limner.engine.node import Node, NodeType
from limner.engine.testing import FakeContext
from limner.nodes import NODES, Integer, Number, PreviewImage, Text
from limner.nodes.values import Image


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_every_node_is_declared_well(node: type[Node]) -> None:
    """It can be read, has a home, a file of its own, a sentence on what it does, and a tooltip a setting."""
    kind = NodeType.of(node)
    assert node.category != "other"
    assert kind.summary.endswith((".", ","))
    assert all(field.description for field in kind.settings.values())
    assert node.__module__.startswith("limner.nodes.")
    assert kind.settings_schema["type"] == "object"


def test_importing_the_nodes_imports_nothing_heavy() -> None:
    """Listing and checking must be instant: no torch, no diffusers, no Pillow, no numpy."""
    code = """
import sys
from limner.engine.node import NodeType
from limner.nodes import NODES, LoadModel
[NodeType.of(node).settings_schema for node in NODES]
list(LoadModel(source="nowhere").problems())
heavy = {"torch", "diffusers", "transformers", "PIL", "numpy", "safetensors", "huggingface_hub", "aiohttp"}
print(sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_plain_values_are_given_on() -> None:
    ctx = FakeContext()
    assert Text(value="红").run(ctx) == "红"
    assert Integer(value=2**70).run(ctx) == 2**70
    assert Number(value=0.1).run(ctx) == 0.1


def test_a_preview_passes_pictures_on() -> None:
    import numpy as np

    images = Image(np.zeros((1, 2, 2, 3), dtype=np.uint8))
    assert PreviewImage().run(FakeContext(), images) is images
