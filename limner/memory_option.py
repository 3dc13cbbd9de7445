"""``--memory DEVICE=SIZE``: what models may take on a device, as people write it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Final

import typer

from limner.engine.device import DEVICE_NAME, Device
from limner.engine.errors import Fault

MemoryOption = Annotated[
    list[str] | None,
    typer.Option("--memory", "-m", metavar="DEVICE=SIZE", help="What models may take there: [cyan]cuda:0=8GB[/]."),
]

EXAMPLE: Final = "write cuda:0=8GB or cpu=500MB; units are KB, MB, GB, TB, and KiB, MiB, GiB for powers of 1024"

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
LEAST_BYTES = 1 << 16
"""No model needs less: a smaller number has lost its unit."""
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)


def read_memory(pairs: Iterable[str]) -> tuple[dict[str, int], list[Fault]]:
    """Bytes by device of ``DEVICE=SIZE`` pairs, and what is wrong with the others.

    The devices need not be here: a plan may be made for another machine. ``absent_devices`` says which are not.

    >>> read_memory(["cuda:0=8GB", "cpu=1.5 GiB"])
    ({'cuda:0': 8000000000, 'cpu': 1610612736}, [])
    """
    sizes: dict[str, int] = {}
    faults = []
    for pair in pairs:
        device, _, size = (part.strip() for part in pair.partition("="))
        size_bytes = _read_size(size)
        if not size:
            faults.append(Fault(f"--memory {pair}: DEVICE=SIZE is missing a part", hint=EXAMPLE))
        elif device == "auto" or not DEVICE_NAME.fullmatch(device):
            faults.append(Fault(f"--memory {pair}: {device!r} is no device", hint=EXAMPLE))
        elif not size_bytes:
            faults.append(Fault(f"--memory {pair}: {size!r} is no size of memory", hint=EXAMPLE))
        elif size.isdecimal() and size_bytes < LEAST_BYTES:
            faults.append(Fault(f"--memory {pair}: that is {size_bytes} bytes, too little to be meant", hint=EXAMPLE))
        elif device in sizes:
            faults.append(Fault(f"--memory {pair}: {device} has a size already", hint="give each device one"))
        else:
            sizes[device] = size_bytes
    return sizes, faults


def absent_devices(sizes: Mapping[str, int], devices: Mapping[str, Device]) -> list[Fault]:
    """A fault for each device that has a size and is not on this machine."""
    hint = f"it has {', '.join(devices)}"
    return [Fault(f"--memory: this machine has no {name}", hint=hint) for name in sizes if name not in devices]


def _read_size(text: str) -> int | None:
    """Whole bytes; None where the text is no size."""
    found = _SIZE.fullmatch(text)
    if found is None or found[2].lower() not in _UNITS:
        return None
    return int(Decimal(found[1]) * _UNITS[found[2].lower()])
