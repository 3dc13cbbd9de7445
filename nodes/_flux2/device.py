"""Which devices this machine has."""

from __future__ import annotations

import os

import torch

from limner.engine.device import Device, DeviceTable


def find_devices() -> DeviceTable:
    """Every device of this machine: accelerators first, because ``auto`` takes the first one; the CPU last."""
    devices = [
        Device(f"cuda:{index}", properties.name, properties.total_memory)
        for index, properties in enumerate(map(torch.cuda.get_device_properties, range(torch.cuda.device_count())))
    ]
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple GPU", torch.mps.recommended_max_memory()))
    return DeviceTable([*devices, Device("cpu", f"{os.cpu_count()} cores", _ram_bytes())])


def _ram_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
