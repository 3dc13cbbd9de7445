"""The devices of the machine that the tests run on."""

from __future__ import annotations

import torch

from limner.nodes._flux2.device import find_devices


def test_the_cpu_is_always_there_and_comes_last() -> None:
    devices = find_devices()
    assert list(devices)[-1] == "cpu"
    assert (devices["cpu"].memory_bytes or 1) > 0
    assert sum(name.startswith("cuda:") for name in devices) == torch.cuda.device_count()
    if torch.cuda.is_available():
        assert devices.default == "cuda:0"
