"""Parts of JSON that others wrote: what is not as it should be is nothing, and never a crash."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

FARTHEST: Final = 10_000_000
"""Beyond which no place is meant, in pixels."""


def pair_of(raw: Any) -> tuple[float, float] | None:
    """Two numbers: a list, or an object with numbers as keys in old files."""
    pair = [raw.get("0"), raw.get("1")] if isinstance(raw, dict) else list_of(raw)[:2]
    x, y = pair if len(pair) == 2 else (None, None)
    return (x, y) if is_number(x) and is_number(y) else None


def is_number(raw: Any) -> TypeGuard[float]:
    """Whether it is a number that can be a place on a canvas."""
    return type(raw) in (int, float) and abs(raw) < FARTHEST


def id_of(raw: Any) -> str | None:
    """Ids are integers or texts."""
    return str(raw) if isinstance(raw, (int, str)) and not isinstance(raw, bool) else None


def text_of(raw: Any) -> str:
    """A text; of what is none, an empty one."""
    return raw if isinstance(raw, str) else ""


def list_of(raw: Any) -> list[Any]:
    """A list; of what is none, an empty one."""
    return raw if isinstance(raw, list) else []


def dict_of(raw: Any) -> dict[str, Any]:
    """An object; of what is none, an empty one."""
    return raw if isinstance(raw, dict) else {}
