"""Which devices this machine has. Without a driver of an accelerator, torch is not imported to find that out."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from limner.engine.device import Device, DeviceTable
from limner.engine.garbage import collector_paused
from limner.nodes._flux2.cgroup import memory_limit

_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""What Linux shows of NVIDIA's driver, of Windows' GPUs inside WSL, and of AMD's driver."""


def find_devices() -> DeviceTable:
    """Every device of this machine: accelerators first, because ``auto`` takes the first one; the CPU last."""
    accelerators = _accelerators() if may_have_accelerator() else []
    return DeviceTable([*accelerators, Device("cpu", _ram_bytes(), _processor())])


def may_have_accelerator() -> bool:
    """False only where there can be none: asking torch takes seconds."""
    return sys.platform != "linux" or any(Path(driver).exists() for driver in _DRIVERS)


def _accelerators() -> list[Device]:
    with collector_paused():  # importing torch makes many objects that all stay
        import torch

    found = [
        Device(f"cuda:{index}", properties.total_memory, properties.name)
        for index, properties in enumerate(map(torch.cuda.get_device_properties, range(torch.cuda.device_count())))
    ]
    if torch.backends.mps.is_available():
        found.append(Device("mps", torch.mps.recommended_max_memory(), platform.machine()))
    return found


def _ram_bytes() -> int | None:
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    return min(there, memory_limit() or there)


def _processor() -> str:
    """The processor's name and how many threads torch takes: both decide the last bits of sums."""
    threads = os.environ.get("OMP_NUM_THREADS")
    return f"{_processor_name()}, {f'{threads} threads' if threads else f'{os.cpu_count()} cores'}"


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
