"""A container's RAM is what it may have, and not what the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.nodes._flux2 import device
from limner.nodes._flux2.cgroup import memory_limit
from limner.nodes._flux2.device import find_devices

GB = 10**9


def machine(root: Path, groups: str, limits: dict[str, str]) -> Path:
    """The files of a Linux machine that tell of control groups."""
    for path, content in ({"proc/self/cgroup": groups} | limits).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{content}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/", {"sys/fs/cgroup/memory.max": str(16 * GB)}, 16 * GB),
        ("0::/", {"sys/fs/cgroup/memory.max": "max"}, None),
        ("0::/", {}, None),
        (
            "0::/user.slice/a.scope",
            {
                "sys/fs/cgroup/user.slice/memory.max": str(8 * GB),
                "sys/fs/cgroup/user.slice/a.scope/memory.max": str(9 * GB),
            },
            8 * GB,
        ),
        ("0::/user.slice", {"sys/fs/cgroup/other.slice/memory.max": str(GB)}, None),
        (
            "3:cpu,cpuacct:/docker/1\n2:memory:/docker/1",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": str(4 * GB), "sys/fs/cgroup/cpu/memory.max": "1"},
            4 * GB,
        ),
    ],
    ids=["container", "unlimited", "no group", "service", "another's", "version 1"],
)
def test_the_least_limit_of_its_groups_counts(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int | None
) -> None:
    """Of either version, its own group's and those of the groups that it is in."""
    assert memory_limit(machine(tmp_path, groups, limits)) == expected


def test_other_systems_have_none(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None


@pytest.mark.parametrize(("limit", "share"), [(1 << 20, True), (1 << 60, False), (None, False)])
def test_ram_is_never_more_than_the_limit(monkeypatch: pytest.MonkeyPatch, limit: int | None, share: bool) -> None:
    """A limit above what the machine has, as version 1 writes for none, adds nothing."""
    monkeypatch.setattr(device, "memory_limit", lambda: limit)
    found = find_devices()["cpu"].memory_bytes
    assert found is not None
    assert found < 1 << 60
    assert (found == limit) is share
