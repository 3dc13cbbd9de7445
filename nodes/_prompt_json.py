"""FLUX.2's JSON prompts as text: which keys come first, what is left out, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from limner.engine.document import plain_json, read_json
from limner.engine.errors import GraphError
from limner.nodes._hex_color import color_fault, lookalike_fault

Keys = Mapping[str, Sequence[str]]
"""The known keys of each object, in their order: of the prompt itself ("") and of objects by what they are under."""


def read_prompt(text: str) -> dict[str, Any]:
    """A whole prompt from its text; empty for an empty one. Raises ValueError that names every fault and its place."""
    if not text.strip():
        return {}
    try:
        document = plain_json(read_json(text))
    except GraphError as error:
        raise ValueError(error.faults[0].message) from None
    if not isinstance(document, dict):
        raise ValueError("is no JSON object: a prompt in words goes straight to TextEncode")
    if faults := [f"{place}: {fault}" for place, fault in color_faults(document)]:
        raise ValueError("; ".join(faults))
    return document


def color_faults(value: Any, place: str = "", *, in_palette: bool = False) -> Iterator[tuple[str, str]]:
    """Places and faults of all colors in plain JSON that is nested no deeper than ``plain_json`` allows."""
    if isinstance(value, str):
        if fault := color_fault(value) if in_palette else lookalike_fault(value):
            yield place, fault
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from color_faults(part, f"{place}.{key}" if place else key, in_palette=key == "color_palette")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from color_faults(part, f"{place}[{index}]", in_palette=in_palette)


def in_order(document: Mapping[str, Any], keys: Keys, under: str = "") -> dict[str, Any]:
    """The same with the known keys first, without those that are empty; unknown ones follow as they are."""
    known = {key: _in_order(document.get(key), keys, key) for key in keys[under]}
    rest = {key: value for key, value in document.items() if key not in keys[under]}
    return {key: value for key, value in known.items() if not is_empty(value)} | rest


def _in_order(value: Any, keys: Keys, key: str) -> Any:
    if key not in keys:
        return value
    if isinstance(value, (list, tuple)):
        parts = (in_order(part, keys, key) if isinstance(part, dict) else part for part in value)
        return [part for part in parts if not is_empty(part)]
    return in_order(value, keys, key) if isinstance(value, dict) else value


def is_empty(value: Any) -> bool:
    """Whether a value says nothing; 0 and false do."""
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def misspelt(document: Mapping[str, Any], keys: Keys, under: str = "", place: str = "") -> Iterator[tuple[str, str]]:
    """Unknown keys that are nearly known ones: where, and which are meant."""
    for key, value in document.items():
        here = f"{place}.{key}" if place else key
        if key in keys:
            for index, part in enumerate(value if isinstance(value, list) else [value]):
                inner = f"{here}[{index}]" if isinstance(value, list) else here
                yield from misspelt(part, keys, key, inner) if isinstance(part, dict) else ()
        elif key not in keys[under]:
            folded = {known.casefold(): known for known in keys[under]}
            yield from ((here, folded[near]) for near in get_close_matches(key.casefold(), folded, n=1, cutoff=0.8))


def write_prompt(value: Any, margin: str = "") -> str:
    """JSON as BFL's guide shows it: two spaces a level, lists of words in one line, other scripts as they are."""
    inner = margin + "  "
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {write_prompt(part, inner)}" for key, part in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(part, (dict, list, tuple)) for part in value):
        return "[\n" + ",\n".join(inner + write_prompt(part, inner) for part in value) + f"\n{margin}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
