"""``--memory DEVICE=SIZE`` reads what people write, and says what it cannot read."""

from __future__ import annotations

from typing import Any

import pytest

from limner.engine.device import Device
from limner.memory_option import absent_devices, read_memory


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [
        ("8GB", 8_000_000_000),
        ("8gb", 8_000_000_000),
        ("10 MB", 10_000_000),
        ("0.1KB", 100),
        ("2TB", 2_000_000_000_000),
        ("1KiB", 1024),
        ("1.5MiB", 1_572_864),
        ("24GiB", 25_769_803_776),
        ("123456", 123_456),
        ("7B", 7),
    ],
)
def test_a_size_is_read_to_the_byte(size: str, size_bytes: int) -> None:
    """Powers of 1000, powers of 1024 with an i, plain bytes, fractions without rounding errors."""
    assert read_memory([f"cuda:0={size}"]) == ({"cuda:0": size_bytes}, [])


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("8GB", "DEVICE=SIZE is missing a part"),
        ("cpu=", "DEVICE=SIZE is missing a part"),
        ("=8GB", "'' is no device"),
        ("cuda=8GB", "'cuda' is no device"),
        ("auto=8GB", "'auto' is no device"),
        ("cpu=lots", "'lots' is no size of memory"),
        ("cpu=8G", "'8G' is no size of memory"),
        ("cpu=-1GB", "'-1GB' is no size of memory"),
        ("cpu=0", "'0' is no size of memory"),
        ("cpu=1e9", "'1e9' is no size of memory"),
        ("cpu=٨GB", "'٨GB' is no size of memory"),
        ("cpu=8", "that is 8 bytes, too little to be meant"),
        ("cpu=8=GB", "'8=GB' is no size of memory"),
    ],
)
def test_what_cannot_be_read_is_a_fault_with_an_example(pair: str, message: str) -> None:
    """The fault repeats the option, says which part is wrong, and shows a right one."""
    sizes, (fault,) = read_memory([pair])
    assert sizes == {}
    assert fault.message == f"--memory {pair}: {message}"
    assert "cuda:0=8GB" in str(fault.hint)


def test_a_device_has_one_size() -> None:
    """A second size for a device is a fault; the first stands, and so do the others."""
    sizes, (fault,) = read_memory(["cpu=1GB", "mps=2GB", "cpu=3GB"])
    assert sizes == {"cpu": 10**9, "mps": 2 * 10**9}
    assert "cpu has a size already" in fault.message


def test_devices_that_are_not_here_are_named() -> None:
    """With those that are."""
    (fault,) = absent_devices({"cpu": 1, "cuda:1": 1}, {"cuda:0": Device("cuda:0"), "cpu": Device("cpu")})
    assert str(fault) == "--memory: this machine has no cuda:1 (it has cuda:0, cpu)"


def test_run_keeps_models_to_the_budget(quick: Any) -> None:
    """What is larger than its device's budget is refused before it loads; with room for each, all run."""
    refused = quick("text_to_image", "--no-cache", "--memory", "cpu=1MB", "--device", "cpu")
    assert refused.code == 2
    assert "encode needs " in refused.stderr
    assert "on cpu, which has 1.0 MB" in refused.stderr
    little = quick("text_to_image", "--no-cache", "--memory", "cpu=1KB", "--device", "cpu")
    assert "on cpu, which has 1.0 kB" in little.stderr
    assert quick("text_to_image", "--no-cache", "--memory", "cpu=40MB", "--device", "cpu").code == 0


def test_faults_of_memory_stand_with_the_others(limner: Any) -> None:
    """One report has those of ``--memory``, ``--set`` and the graph; a device that is not here is among them."""
    answer = limner("run", "text_to_image", "--memory", "cpu=8", "--memory", "cpu=lots", "--set", "steps=0")
    assert answer.code == 2
    assert "'lots' is no size of memory" in answer.stderr
    assert "steps: at least 1" in answer.stderr
    absent = limner("run", "text_to_image", "--memory", "npu:7=8GB", "--set", "prompt=x")
    assert absent.code == 2
    assert "this machine has no npu:7" in absent.stderr
