"""bitsandbytes on a CPU: it computes there, and only a check in diffusers forbids it.

What is leant on here is not public in either library; ``test_bitsandbytes_cpu.py`` fails when it changes.
"""

from __future__ import annotations

from typing import Any, Final

from bitsandbytes.nn.modules import Linear4bit
from diffusers.quantizers import auto
from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer, BnB8BitDiffusersQuantizer
from torch import nn

CPU_MAP: Final = {"": "cpu"}
"""The device map that says: all of it on the CPU. Without a map, diffusers asks CUDA for its current device."""

_4bit: Any = BnB4BitDiffusersQuantizer
_8bit: Any = BnB8BitDiffusersQuantizer


class Cpu4Bit(_4bit):  # type: ignore[misc]  # diffusers leaves its quantizers untyped
    """nf4 and fp4, on the CPU too."""

    def validate_environment(self, *args: Any, **kwargs: Any) -> None:
        """Refuse what diffusers refuses, except a module that lies on the CPU as a whole."""
        if kwargs.get("device_map") != CPU_MAP:
            super().validate_environment(*args, **kwargs)


class Cpu8Bit(_8bit):  # type: ignore[misc]  # likewise
    """int8, on the CPU too."""

    def validate_environment(self, *args: Any, **kwargs: Any) -> None:
        """Refuse what diffusers refuses, except a module that lies on the CPU as a whole."""
        if kwargs.get("device_map") != CPU_MAP:
            super().validate_environment(*args, **kwargs)


def allow_bitsandbytes_on_cpu() -> None:
    """Let diffusers load bitsandbytes' formats with ``CPU_MAP``; with any other map, nothing changes."""
    auto.AUTO_QUANTIZER_MAPPING["bitsandbytes_4bit"] = Cpu4Bit
    auto.AUTO_QUANTIZER_MAPPING["bitsandbytes_8bit"] = Cpu8Bit


def keep_portable(module: nn.Module) -> None:
    """Stop 4-bit layers from repacking themselves when they first compute on a CPU with AVX-512 BF16.

    Repacked weights have rounded scales, cannot be saved as they were, and need a kernel that is fetched from the hub.
    """
    for layer in module.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False
