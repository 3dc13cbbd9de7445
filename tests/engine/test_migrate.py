"""Versions of the graph format: older ones become new, newer ones are refused."""

from __future__ import annotations

from typing import Any

import pytest

from limner.engine.migrate import migrate


def test_older_versions_are_migrated_step_by_step() -> None:
    """Each migration goes one version further; the version in the file follows."""
    steps = {1: lambda raw: raw | {"one": True}, 2: lambda raw: raw | {"two": raw["one"]}}
    assert migrate({"limner": 1}, steps, to=3) == ({"limner": 3, "one": True, "two": True}, [])
    assert migrate({"limner": 3}, steps, to=3) == ({"limner": 3}, [])


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "format version 2; this release of Limner reads up to 1"),
        pytest.param(10**5000, "there is no such format version", id="huge"),
        (0, "there is no format version 0"),
        (-3, "there is no format version -3"),
        pytest.param(-(10**5000), "there is no such", id="tiny"),
        (True, "must be an integer"),
        ("1", "must be an integer"),
        (1.0, "must be an integer"),
        (None, "must be an integer"),
    ],
)
def test_other_versions_are_refused(version: Any, message: str) -> None:
    """A newer version, one that never was, and what is no version each say so, with what to do."""
    _, (fault,) = migrate({"limner": version})
    assert message in fault.message
    assert fault.hint


def test_a_file_without_a_version() -> None:
    _, (fault,) = migrate({})
    assert fault.message == "limner: is required"
