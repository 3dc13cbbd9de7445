"""How large the editor draws a node, in its pixels: in both of its renderings, as measured in 1.42.15 and 1.58.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

WIDTH: Final = 320
TITLE: Final = 30
"""The bar above the place where a node stands."""
SLOT: Final = 20
PICTURE: Final = 300
"""Room for a picture on its node; the editor takes 220 where there is less."""
_PREVIEW: Final = 220
_LINE: Final = 13
_CHARACTERS: Final = 46
"""In one line of a text of several lines."""
_FEW_LINES, _MANY_LINES = 104, 240
_ADVANCED_LINES: Final = 54
"""What a text of several lines takes at least."""


@dataclass(frozen=True)
class Contents:
    """What is on a node."""

    rows: int
    """Of sockets: the longer side."""
    widgets: tuple[tuple[Any, Mapping[str, Any], str], ...]
    """Kind, options and text of each."""
    has_picture: bool = False
    has_preview: bool = False


def height(contents: Contents) -> int:
    """How tall a node is below its title, as the older rendering draws it: with all widgets."""
    lines = sum(24 * _rows(kind, options) + _lines(options, text) for kind, options, text in contents.widgets)
    picture = PICTURE if contents.has_picture else 0
    return 6 + SLOT * max(contents.rows, 1) + (8 if contents.widgets else 0) + lines + picture


def room(contents: Contents) -> int:
    """What it takes below its title in either rendering, with what it shows while it runs."""
    plain = [widget for widget in contents.widgets if not widget[1].get("advanced")]
    folded = 28 if len(plain) < len(contents.widgets) else 0
    newer = 38 + SLOT * max(contents.rows, 1) + sum(_newer(*widget) for widget in plain) + folded
    picture = PICTURE if contents.has_picture else 0
    return max(height(contents), newer + picture) + (_PREVIEW if contents.has_preview else 0)


def _rows(kind: Any, options: Mapping[str, Any]) -> int:
    """A number has one more for what becomes of it after a run, and a picture one to bring it."""
    further = bool(options.get("control_after_generate")) + bool(options.get("image_upload"))
    return (0 if options.get("multiline") else 1) + further


def _lines(options: Mapping[str, Any], text: str) -> int:
    if not options.get("multiline"):
        return 0
    if options.get("advanced") and not text:
        return _ADVANCED_LINES
    return min(max(_FEW_LINES, 2 * _LINE + _LINE * _count_lines(text.splitlines())), _MANY_LINES)


def _count_lines(lines: Iterable[str]) -> int:
    return sum(max(ceil(len(line) / _CHARACTERS), 1) for line in lines)


def _newer(kind: Any, options: Mapping[str, Any], text: str) -> int:
    if options.get("multiline"):
        return max(68, _lines(options, text))
    is_text = kind == "STRING" or "widgetType" in options or "image_upload" in options
    return 36 if is_text else 28
