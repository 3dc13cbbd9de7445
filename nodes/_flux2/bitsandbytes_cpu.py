"""bitsandbytes on a CPU: it computes there, and only a check in diffusers forbids it."""

from __future__ import annotations

from typing import Any, Final

from diffusers.quantizers import auto
from diffusers.quantizers.bitsandbytes import BnB4BitDiffusersQuantizer, BnB8BitDiffusersQuantizer

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
