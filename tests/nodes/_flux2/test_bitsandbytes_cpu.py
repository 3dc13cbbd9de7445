"""What the CPU support leans on in diffusers and bitsandbytes is still there, and still needed."""

from __future__ import annotations

import inspect
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from diffusers.quantizers import auto
from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer, BnB8BitDiffusersQuantizer
from torch.profiler import ProfilerActivity, profile

from limner.nodes._flux2.bitsandbytes_cpu import CPU_MAP, Cpu4Bit, Cpu8Bit, allow_bitsandbytes_on_cpu, keep_portable

PAIRS = [
    ("bitsandbytes_4bit", BnB4BitDiffusersQuantizer, Cpu4Bit),
    ("bitsandbytes_8bit", BnB8BitDiffusersQuantizer, Cpu8Bit),
]


@pytest.mark.parametrize(("method", "stock", "ours"), PAIRS)
def test_diffusers_still_looks_its_quantizers_up(method: str, stock: Any, ours: Any) -> None:
    allow_bitsandbytes_on_cpu()
    assert auto.AUTO_QUANTIZER_MAPPING[method] is ours
    assert issubclass(ours, stock)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU, diffusers refuses nothing")
@pytest.mark.parametrize(("method", "stock", "ours"), PAIRS)
def test_diffusers_still_refuses_a_cpu(method: str, stock: Any, ours: Any) -> None:
    """When this fails, diffusers has learnt it, and bitsandbytes_cpu.py can go."""
    assert list(inspect.signature(stock.validate_environment).parameters) == ["self", "args", "kwargs"]
    with pytest.raises(RuntimeError, match="No GPU found"):
        stock.validate_environment(object.__new__(stock), device_map=CPU_MAP)
    ours.validate_environment(object.__new__(ours), device_map=CPU_MAP)
    with pytest.raises(RuntimeError, match="No GPU found"):
        ours.validate_environment(object.__new__(ours), device_map={"": "cuda:0"})


def test_4_bit_layers_still_repack_themselves() -> None:
    """The switch is where it was, and it is off afterwards."""
    layer = bnb.nn.Linear4bit(64, 64)
    assert layer.support_avx512bf16_for_cpu in (False, True)
    layer.support_avx512bf16_for_cpu = True
    keep_portable(torch.nn.Sequential(layer))
    assert layer.support_avx512bf16_for_cpu is False
    assert "self.support_avx512bf16_for_cpu" in inspect.getsource(bnb.nn.Linear4bit.forward)


@pytest.mark.parametrize(("method", "bytes_a_weight"), [("nf4", 10), ("fp4", 24), ("int8", 10)])
def test_quantizing_takes_what_the_plan_counts(method: str, bytes_a_weight: int) -> None:
    """All that is alive at once while a layer in float32 is quantized on a CPU, its result included."""
    weight = torch.randn(512, 1024)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        if method == "int8":
            made = bnb.nn.Int8Params(weight, requires_grad=False).to("cpu")
        else:
            made = bnb.nn.Params4bit(weight, requires_grad=False, quant_type=method).to("cpu")
    assert made.dtype in (torch.int8, torch.uint8)
    results: Any = profiled.profiler
    alive, peak = 0, 0
    for event in results.kineto_results.events():
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    assert peak / weight.numel() == pytest.approx(bytes_a_weight, rel=0.05)
