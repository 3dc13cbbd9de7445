"""The ways of computing attention that diffusers knows, and what each needs. Imports no torch: checking asks here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from limner.engine.device import Device
from limner.engine.errors import suggest


@dataclass(frozen=True)
class Backend:
    """One way of computing attention."""

    devices: tuple[str, ...]
    """Kinds of device that it computes on."""
    package: str = ""
    """The module that it comes with, where that is not torch."""
    install: str = ""
    """How pip calls the package."""
    card: str = ""
    """The generation of GPU that it is written for."""
    capabilities: tuple[int, ...] = ()
    """The compute capabilities of those, by their first number; empty where any will do."""

    @property
    def needs(self) -> str:
        """All of it in a few words."""
        where = f"a {self.card} GPU" if self.card else " or ".join(self.devices)
        return f"{where} and the package {self.install or self.package}" if self.package else where

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return not self.package or find_spec(self.package) is not None


def _hub(card: str = "", *capabilities: int) -> Backend:
    return Backend(("cuda",), "kernels", card=card, capabilities=capabilities)


def _sage(card: str = "", *capabilities: int) -> Backend:
    return Backend(("cuda",), "sageattention", card=card, capabilities=capabilities)


ANYWHERE: Final = ("cpu", "cuda", "mps", "xpu", "npu")
_FLASH: Final = Backend(("cuda",), "flash_attn", "flash-attn")
_FLASH_3: Final = Backend(("cuda",), "flash_attn_interface", "flash-attn-3, built from source", "Hopper", (9,))

BACKENDS: Final[dict[str, Backend]] = {
    "native": Backend(ANYWHERE),
    "flex": Backend(("cpu", "cuda", "xpu")),
    "_native_math": Backend(ANYWHERE),
    "_native_flash": Backend(("cpu", "cuda")),
    "_native_efficient": Backend(("cuda",)),
    "_native_cudnn": Backend(("cuda",)),
    "_native_npu": Backend(("npu",), "torch_npu"),
    "_native_xla": Backend(("xla",), "torch_xla"),
    "flash": _FLASH,
    "flash_varlen": _FLASH,
    "flash_hub": _hub(),
    "flash_varlen_hub": _hub(),
    "_flash_3": _FLASH_3,
    "_flash_varlen_3": _FLASH_3,
    "_flash_3_hub": _hub("Hopper", 9),
    "_flash_3_varlen_hub": _hub("Hopper", 9),
    "flash_4_hub": _hub("Hopper or Blackwell", 9, 10),
    "aiter_fa2_hub": _hub("recent AMD"),
    "sage": _sage(),
    "sage_varlen": _sage(),
    "sage_hub": Backend(("cuda",), "kernels"),
    "sage_blackwell_hub": _hub("Blackwell", 10, 12),
    "_sage_qk_int8_pv_fp8_cuda": _sage("Ada or newer"),
    "_sage_qk_int8_pv_fp8_cuda_sm90": _sage("Hopper", 9),
    "_sage_qk_int8_pv_fp16_cuda": _sage(),
    "_sage_qk_int8_pv_fp16_triton": _sage(),
    "xformers": Backend(("cuda",), "xformers"),
}
"""By diffusers' names, of which those with an underscore may change."""


def name_faults(name: str) -> Iterator[str]:
    """Why a name is none."""
    if name and name not in BACKENDS:
        yield f"no attention is called {name!r}; {suggest(name, BACKENDS)}"


def package_faults(name: str) -> Iterator[str]:
    """Why a known attention cannot be computed on this machine."""
    if (backend := BACKENDS.get(name)) is not None and not backend.is_installed:
        yield f"{name} needs {backend.needs}; without it there are {', '.join(_installed())}"


def device_faults(name: str, device: str) -> Iterator[str]:
    """Why a known attention cannot compute on a device."""
    kind = device.partition(":")[0]
    if (backend := BACKENDS.get(name)) is not None and kind not in backend.devices:
        there = ", ".join(other for other in _installed() if kind in BACKENDS[other].devices)
        yield f"{name} needs {backend.needs}; on {device} there are {there}"


def faults_on(device: Device, name: str) -> Iterator[str]:
    """Why a way cannot be had there: it is written for other devices, or this machine lacks its package."""
    faults = [*device_faults(name, device.name)]
    if device.is_here and not faults:
        faults = [*package_faults(name)]
    yield from faults


def _installed() -> list[str]:
    return [name for name, backend in BACKENDS.items() if backend.is_installed]
