"""The devices of a machine, as the planner sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from limner.engine.errors import suggest

HOST = "host"
"""Where nodes run that need no device: reading files, writing pictures, plain values."""

DEVICE_NAME = re.compile(r"auto|cpu|mps|(cuda|xpu|npu):\d+")


def device_hint(name: str, known: Iterable[str]) -> str | None:
    """The nearest known device to one that nobody knows; ``gpu`` is not meant as ``cpu``."""
    return suggest(name.lower().replace("gpu", "cuda"), known)


@dataclass(frozen=True, slots=True)
class Device:
    """One place that can hold and run models."""

    name: str
    """As torch writes it: ``cpu``, ``cuda:0``, ``mps``."""
    memory_bytes: int | None = None
    """All of its memory; None where it is not known."""
    model: str = ""
    """What its maker calls it; empty where that is not known."""
    is_here: bool = True
    """Whether this machine has it; what is planned for another machine may want packages that are not here."""


class DeviceTable(Mapping[str, Device]):
    """The devices of a machine, by name; the first one is what ``auto`` takes."""

    def __init__(self, devices: Iterable[Device] = (Device("cpu"),)) -> None:
        self._devices = {device.name: device for device in devices}

    @property
    def default(self) -> str:
        """What ``auto`` means here."""
        return next(iter(self._devices))

    def __getitem__(self, name: str) -> Device:
        return self._devices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)
