"""How many bytes one tensor takes in each way of storing it. No torch."""

from __future__ import annotations

import math
from typing import Final

from limner.nodes.specs import Quantization

BLOCK, NESTED_BLOCK = 64, 256
"""Weights that share a scale in bitsandbytes' 4 bits, and scales that share one where these are quantized too."""
_CODE_BYTES, _NESTED_CODE_BYTES, _OFFSET_BYTES = 16 * 4, 256 * 4, 4
_SCALE_BYTES = 4
_FOUR_BITS: Final = ("nf4", "fp4")


def linear_bytes(shape: tuple[int, ...], quantization: Quantization, itemsize: int) -> int:
    """A quantized linear layer's weight (rows, columns), with its scales; ``itemsize`` is that of other weights."""
    count = math.prod(shape)
    if quantization.method in _FOUR_BITS:
        scales = math.ceil(count / BLOCK)
        nested = scales + math.ceil(scales / NESTED_BLOCK) * _SCALE_BYTES + _NESTED_CODE_BYTES + _OFFSET_BYTES
        scale_bytes = nested if quantization.double_quant else scales * _SCALE_BYTES
        return math.ceil(count / 2) + scale_bytes + _CODE_BYTES
    if quantization.method == "quanto-int4":  # a scale and a shift for each 128 weights
        return math.ceil(count / 2) + 2 * math.ceil(count / 128) * itemsize
    if quantization.method == "layerwise-fp8":
        return count
    return count + shape[0] * _SCALE_BYTES


def computed_bytes(shape: tuple[int, ...], quantization: Quantization, itemsize: int, tokens: int) -> int:
    """What a quantized layer makes for itself while it computes on so many tokens.

    4 bits, quanto and layerwise casts unpack the weight; int8 sums in 32 bits before it scales.
    """
    if quantization.method in ("int8", "fp8-dynamic"):
        return tokens * (shape[0] * 4 + shape[1])
    return math.prod(shape) * itemsize
