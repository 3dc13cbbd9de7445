"""The transformer in NF4 or int8, by bitsandbytes, on a CPU."""

from typing import Literal

import torch
from bitsandbytes.nn.modules import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import nn

Kind = Literal["nf4", "int8"]

LEAST_WIDTH = 64  # narrower matrices are kept: they hold little and lose much


def quantize(module: nn.Module, kind: Kind) -> None:
    """Replace the linear layers inside a module. diffusers' own loader refuses to quantise without a GPU."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and min(child.weight.shape) >= LEAST_WIDTH:
            setattr(module, name, _nf4(child) if kind == "nf4" else _int8(child))
        else:
            quantize(child, kind)


def _nf4(linear: nn.Linear) -> nn.Module:
    layer: nn.Module = Linear4bit(  # type: ignore[no-untyped-call]  # bitsandbytes leaves it untyped
        linear.in_features, linear.out_features, linear.bias is not None, torch.float32, quant_type="nf4"
    )
    layer.weight = Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
    if linear.bias is not None:
        layer.bias = linear.bias
    return layer.to("cpu")  # moving is what quantises


def _int8(linear: nn.Linear) -> nn.Module:
    layer: nn.Module = Linear8bitLt(
        linear.in_features, linear.out_features, linear.bias is not None, False, threshold=6.0
    )
    layer.weight = Int8Params(linear.weight.data, requires_grad=False, has_fp16_weights=False)
    if linear.bias is not None:
        layer.bias = linear.bias
    return layer.to("cpu")  # moving is what quantises
