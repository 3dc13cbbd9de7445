"""The devices of this machine, found in a process of their own where that takes torch: the server never imports it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from limner.engine.device import Device, DeviceTable
from limner.engine.errors import DeviceError
from limner.nodes._flux2.device import find_devices, may_have_accelerator

TIMEOUT_S: Final = 120.0
_ASK: Final = """
import json
from dataclasses import asdict
from limner.nodes._flux2.device import find_devices
print(json.dumps([asdict(device) for device in find_devices().values()]))
"""


def find_devices_aside() -> DeviceTable:
    """Every device of this machine. Raises DeviceError."""
    if not may_have_accelerator():
        return find_devices()
    try:
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, timeout=TIMEOUT_S, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise DeviceError("the devices of this machine cannot be found") from error
    return DeviceTable(Device(**device) for device in found)
