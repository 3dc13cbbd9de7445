"""What only looks must not wait for what computes."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "diffusers", "transformers", "accelerate", "peft", "bitsandbytes", "aiohttp", "PIL", "numpy")
COMMANDS = (
    ["--help"],
    ["--version"],
    ["validate", "text_to_image", "--set", "model=somebody/model"],
    ["validate", "edit_with_references", "--set", "model=somebody/model", "--set", "images=pyproject.toml"],
    ["nodes"],
    ["nodes", "Denoise", "--json"],
    ["templates"],
    ["schema"],
    ["cache", "info"],
    ["jobs", "--help"],
    ["serve-encoder", "--help"],
    ["validate", "remote_encoder_nf4_18gb", "--set", "model=somebody/model"],
)
LOOK = """
import sys
from typer.testing import CliRunner
from limner.commands import app
for arguments in {commands}:
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    found = sorted(set({heavy}) & set(sys.modules))
    assert not found, (arguments, found)
"""
FACE = """
import sys
import limner
assert not [name for name in sys.modules if name.startswith("limner.")]
from limner import Graph, Node, Session, run
from limner.nodes import LoadModel, TextEncode, Denoise, VAEDecode, SaveImage
Session()
assert not set({heavy}) & set(sys.modules), set({heavy}) & set(sys.modules)
"""


def python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_looking_imports_no_framework() -> None:
    """validate, nodes, templates, schema, --help and --version import no torch, diffusers or transformers."""
    python(LOOK.format(commands=COMMANDS, heavy=HEAVY))


def test_the_face_is_light() -> None:
    """``import limner`` imports nothing else, and composing a graph no framework."""
    python(FACE.format(heavy=HEAVY))


def test_every_name_of_the_face_is_there() -> None:
    """What ``limner.__all__`` promises can be imported, and what it does not is an AttributeError."""
    import limner

    assert dir(limner) == limner.__all__
    for name in limner.__all__:
        assert getattr(limner, name).__name__ == name
    assert not hasattr(limner, "nothing_like_it")
