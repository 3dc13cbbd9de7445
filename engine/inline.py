"""JSON schemas of one piece: what is referred to stands where it is used, so that each setting is whole by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PREFIX: Final = "#/$defs/"


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its definitions in place. One that contains itself ends there, as one that allows anything."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    inline: dict[str, Any] = _resolved({key: part for key, part in schema.items() if key != "$defs"}, definitions, ())
    return inline


def _resolved(part: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(part, list):
        return [_resolved(one, definitions, within) for one in part]
    if not isinstance(part, dict):
        return part
    name = str(part.get("$ref", "")).removeprefix(_PREFIX)
    if name in definitions:
        own = {key: one for key, one in part.items() if key != "$ref"}
        referred = {} if name in within else _resolved(definitions[name], definitions, (*within, name))
        return referred | _resolved(own, definitions, within)
    return {key: _resolved(one, definitions, within) for key, one in part.items()}
