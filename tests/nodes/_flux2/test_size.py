"""A module's bytes, down to what hangs on its tensors."""

from __future__ import annotations

import bitsandbytes as bnb
import torch
from torch import nn

from limner.nodes._flux2.size import module_bytes


def test_what_is_shared_counts_once() -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    assert module_bytes(nn.Sequential(first, second)) == 64


def test_buffers_count() -> None:
    module = nn.Linear(4, 4)
    module.register_buffer("extra", torch.zeros(3))
    assert module_bytes(module) == 64 + 16 + 12


def test_scales_of_4_bit_weights_count() -> None:
    """Half a byte a weight, a float32 a block of 64, and the code book of 16."""
    layer = bnb.nn.Linear4bit(64, 128, bias=False, quant_type="nf4", compress_statistics=False).to("cpu")
    assert module_bytes(layer) == 64 * 128 // 2 + 128 * 4 + 16 * 4


def test_scales_of_8_bit_weights_count() -> None:
    """A byte a weight and a float32 a row; the first computation moves them and adds nothing."""
    layer = bnb.nn.Linear8bitLt(64, 128, bias=False, has_fp16_weights=False).to("cpu")
    assert module_bytes(layer) == 64 * 128 + 128 * 4
