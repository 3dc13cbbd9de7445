"""Headers say dtypes and bytes; a file that is not safetensors is refused by name."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from limner.engine.errors import ModelError
from limner.nodes._flux2.weights import read_folder


def test_bytes_are_counted_over_all_files(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(10, dtype=torch.bfloat16)}, tmp_path / "1.safetensors")
    safetensors.torch.save_file({"b": torch.zeros(7), "c": torch.zeros(2)}, tmp_path / "2.safetensors")
    stored = read_folder(tmp_path)
    assert {name: (tensor.dtype, tensor.size_bytes) for name, tensor in stored.items()} == {
        "a": ("BF16", 20),
        "b": ("F32", 28),
        "c": ("F32", 8),
    }


def with_header(document: object) -> bytes:
    header = json.dumps(document).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 20, struct.pack("<Q", 1 << 32) + b"{}", with_header([1]), with_header({"a": {"dtype": "F32"}})],
    ids=["empty", "ff", "4 GB", "list", "no offsets"],
)
def test_what_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.safetensors is not safetensors|has no weights"):
        read_folder(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="has no weights in safetensors"):
        read_folder(tmp_path)
