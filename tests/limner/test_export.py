"""``limner export``: the script is on stdout or in a file, and faults are told at once."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest


def test_export_prints_a_script(limner: Any) -> None:
    """Without --out the script is on stdout, with the values of --set as constants."""
    answer = limner("export", "text_to_image", "--python", "--set", "prompt=a star", "--set", "seed=7")
    assert answer.code == 0
    ast.parse(answer.stdout)
    assert 'PROMPT = "a star"\n' in answer.stdout
    assert "SEED = 7\n" in answer.stdout
    assert "import limner" not in answer.stdout


def test_export_writes_a_file(limner: Any) -> None:
    """With --out the script is in that file, whose path is on stdout."""
    assert limner("export", "text_to_image", "--python", "-o", "draw.py").stdout == "draw.py\n"
    ast.parse(Path("draw.py").read_text())


def test_a_picture_is_exported(limner: Any, quick: Any) -> None:
    """The graph inside a picture becomes a script."""
    quick("text_to_image", "--set", "seed=3", "--out", "a.png")
    assert "SEED = 3\n" in limner("export", "a.png", "--python").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text_to_image"], "say so with --python"),
        (["remote_encoder_nf4_18gb", "--python"], "✗ RemoteEncode has no plain form"),
        (["lora", "--python"], "path: is required"),
        (["text_to_image", "--python", "-o", "."], "is a folder"),
        (["text_to_image", "--python", "--set", "steps=0"], "steps: at least 1"),
    ],
)
def test_what_cannot_be_exported_is_said(limner: Any, arguments: list[str], message: str) -> None:
    """A wrong graph, a node without a plain form, or a wrong option is exit code 2, and nothing is on stdout."""
    answer = limner("export", *arguments)
    assert (answer.code, answer.stdout) == (2, "")
    assert message in answer.stderr
