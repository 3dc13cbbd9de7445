"""Why a case cannot be measured on a machine, known before trying."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from cases import Case

from limner.nodes._flux2.shapes import transformer_shapes

_BYTES_A_WEIGHT: Final = {"bf16": 2.0, "nf4": 0.5625, "fp8": 1.0, "fp8-dynamic": 1.0}
HOPPER: Final = (9, 0)
ADA: Final = (8, 9)


@dataclass(frozen=True)
class Machine:
    """What decides whether a case can run."""

    device: str
    """As torch writes it."""
    name: str
    memory_bytes: int
    """Of the device."""
    ram_bytes: int
    capability: tuple[int, int] | None = None
    """CUDA's compute capability; None on a CPU."""


def weights_bytes(case: Case) -> int:
    """About what the weights of a case take."""
    count = sum(math.prod(shape) for shape in transformer_shapes(case.config).values())
    return int(count * _BYTES_A_WEIGHT[case.precision])


def obstacle(case: Case, machine: Machine) -> str | None:
    """The reason to skip a case; None where it may be tried."""
    is_cpu = machine.capability is None
    needed = weights_bytes(case)
    if case.offload == "none" and needed > machine.memory_bytes:
        return f"{needed / 1e9:.1f} GB of weights, and {machine.device} has {machine.memory_bytes / 1e9:.1f} GB"
    if case.offload != "none" and needed > machine.ram_bytes:
        return f"{needed / 1e9:.1f} GB of weights, and {machine.ram_bytes / 1e9:.1f} GB of RAM to keep them in"
    if case.offload.endswith("stream") and is_cpu:
        return "streams need CUDA"
    if case.is_compiled and is_cpu:
        return "compiling for a CPU tells nothing of a GPU"
    if case.attention == "_flash_3_hub":
        if machine.capability != HOPPER:
            return "Flash Attention 3 needs a Hopper GPU"
        if find_spec("kernels") is None:
            return "Flash Attention 3 comes with the package kernels: pip install kernels"
    if case.precision == "fp8-dynamic":
        if machine.capability is None or machine.capability < ADA:
            return "multiplying in fp8 needs a GPU of the Ada generation or newer"
        if find_spec("torchao") is None:
            return 'fp8-dynamic needs torchao: pip install "limner[torchao]"'
    return None
