"""Old graph files become new ones by pure functions, one a version; newer files are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from limner.engine.errors import Fault

VERSION = 1
"""The version of the graph format that this release writes."""

Migration = Callable[[dict[str, Any]], dict[str, Any]]

MIGRATIONS: Mapping[int, Migration] = {}
"""From each older version to the next, by the version it starts from. Version 1 is the first."""


def migrate(
    raw: dict[str, Any], migrations: Mapping[int, Migration] = MIGRATIONS, to: int = VERSION
) -> tuple[dict[str, Any], list[Fault]]:
    """The same graph in version ``to``, or the fault that says why it cannot be read."""
    path = ("limner",)
    if "limner" not in raw:
        return raw, [Fault("limner: is required", path, f'begin the file with {{"limner": {to}, ...')]
    version = raw["limner"]
    if isinstance(version, bool) or not isinstance(version, int):
        return raw, [Fault("limner: must be an integer, the version of the format", path, f"write {to}")]
    if version.bit_length() > 64:  # too long to print
        return raw, [Fault("there is no such format version", path, f"write {to}")]
    if version > to:
        message = f"this graph has format version {version}; this release of Limner reads up to {to}"
        return raw, [Fault(message, path, "upgrade with: pip install --upgrade limner")]
    if version < min(migrations, default=to):
        return raw, [Fault(f"there is no format version {version}", path, f"write {to}")]
    for step in range(version, to):
        raw = migrations[step](raw) | {"limner": step + 1}
    return raw, []
