"""The contact sheet of a sweep: what varies is written along the edges, or under each picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw

from limner.engine.errors import InputError
from limner.engine.sweep import Axis, variants, written
from limner.nodes._contact_sheet import BLACK, GREY, Font, shorten, wrap
from limner.sheet_font import sheet_font
from limner.sweep_layout import MOST_PICTURES, Panel, layout

Pixels = NDArray[np.uint8]
Shown = Pixels | str
"""A picture (H, W, 3), or why there is none."""

_GAP: Final = 6
"""Pixels between pictures."""
_MARGIN: Final = 20
_EMPTY: Final = "#ececec"
_LINE: Final = "#d9d9d9"


def thumbnail(pixels: Pixels, side: int) -> Pixels:
    """A picture (H, W, 3) as it is shown: its longer side has so many pixels, but at most twice its own."""
    height, width = pixels.shape[:2]
    scale = min(2.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.LANCZOS))


def sweep_sheet(name: str, axes: Sequence[Axis], shown: Iterable[Shown]) -> PIL.Image.Image:
    """The pictures of all variants, in their order. Raises InputError for more than a sheet can show."""
    plan = layout(axes)
    cells = [one if isinstance(one, str) else thumbnail(one, plan.side) for one in shown]
    if len(cells) > MOST_PICTURES:
        raise InputError(f"{len(cells):,} pictures are too many for one sheet", hint=f"sweep at most {MOST_PICTURES:,}")
    words = [name, *(text for axis in axes for text in (axis.name, *map(written, axis.values)))]
    style = _Style.of(cells, plan.side, words)
    parts = [_panel(panel, cells, style) for panel in plan.panels] or _captioned(axes, cells, style)
    return _titled(name, axes, _beside(parts, plan.across), style)


@dataclass(frozen=True)
class _Style:
    """Sizes that all parts of a sheet share: of a picture's place, and of words."""

    width: int
    height: int
    font: Font
    title: Font
    line: int

    @classmethod
    def of(cls, cells: Iterable[Shown], side: int, words: Sequence[str]) -> _Style:
        sizes = [cell.shape[:2] for cell in cells if not isinstance(cell, str)] or [(side, side)]
        size = max(11, min(16, side // 14))
        height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
        return cls(width, height, sheet_font(words, size), sheet_font(words, 20), round(size * 1.4))

    def lines(self, words: str, width: int) -> list[str]:
        """Words in lines of so many pixels."""
        return wrap(words, self.font, width)


def _blank(width: int, height: int) -> tuple[PIL.Image.Image, ImageDraw.ImageDraw]:
    image = PIL.Image.new("RGB", (max(1, width), max(1, height)), "white")
    return image, ImageDraw.Draw(image)


def _draw(image: PIL.Image.Image, place: tuple[int, int], cell: Shown, style: _Style) -> None:
    """A picture with a thin line around it, for white ones, or a grey box that says why there is none."""
    x, y = place
    pen = ImageDraw.Draw(image)
    if not isinstance(cell, str):
        height, width = cell.shape[:2]
        image.paste(PIL.Image.fromarray(cell), place)
        pen.rectangle((x, y, x + width - 1, y + height - 1), outline=_LINE)
        return
    pen.rectangle((x, y, x + style.width - 1, y + style.height - 1), fill=_EMPTY)
    words = shorten(cell, style.font, style.width)
    pen.text((x + style.width / 2, y + style.height / 2), words, fill=GREY, font=style.font, anchor="mm")


def _panel(panel: Panel, cells: Sequence[Shown], style: _Style) -> PIL.Image.Image:
    """Rows and columns of pictures; the name of each axis in grey, before its values in black."""
    heads = [style.lines(written(value), style.width) for value in panel.column_axis.values]
    sides = [written(value) for value in panel.row_axis.values]
    longest = max(style.font.getlength(words) for words in (*sides, panel.row_axis.name))
    left = min(round(longest), max(style.width, 120)) + 2 * _GAP
    heading = style.lines(panel.heading, left + len(heads) * (style.width + _GAP)) if panel.heading else []
    top = (len(heading) + 1 + max(map(len, heads))) * style.line + _GAP
    image, pen = _blank(
        left + len(heads) * (style.width + _GAP) - _GAP, top + len(sides) * (style.height + _GAP) - _GAP
    )
    _write(pen, (0, 0), heading, style)
    y = len(heading) * style.line
    _write(pen, (left, y), [panel.column_axis.name], style, GREY)
    _write(pen, (0, top - style.line - _GAP), [shorten(panel.row_axis.name, style.font, left)], style, GREY)
    for column, lines in enumerate(heads):
        _write(pen, (left + column * (style.width + _GAP), y + style.line), lines, style)
    for row, (words, numbers) in enumerate(zip(sides, panel.cells, strict=True)):
        y = top + row * (style.height + _GAP)
        _write(pen, (0, y), style.lines(words, left - 2 * _GAP), style)
        for column, number in enumerate(numbers):
            _draw(image, (left + column * (style.width + _GAP), y), cells[number], style)
    return image


def _captioned(axes: Sequence[Axis], cells: Sequence[Shown], style: _Style) -> list[PIL.Image.Image]:
    """Each picture with its values under it."""
    captions = [
        style.lines(", ".join(_caption(name, value) for name, value in values.items()), style.width)
        for values in variants(axes)
    ]
    height = style.height + max(map(len, captions)) * style.line + _GAP
    tiles = []
    for lines, cell in zip(captions, cells, strict=True):
        image, pen = _blank(style.width, height)
        _draw(image, (0, 0), cell, style)
        _write(pen, (0, style.height + _GAP // 2), lines, style)
        tiles.append(image)
    return tiles


def _caption(name: str, value: object) -> str:
    return value if isinstance(value, str) else f"{name} {written(value)}"


def _write(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], lines: Sequence[str], style: _Style, fill: str = BLACK
) -> None:
    for number, words in enumerate(lines):
        pen.text((place[0], place[1] + number * style.line), words, fill=fill, font=style.font)


def _beside(parts: Sequence[PIL.Image.Image], across: int) -> PIL.Image.Image:
    """Parts in rows, each with as much room as the largest."""
    gap = 2 * _GAP if across > 3 else 4 * _GAP
    width, height = (max(lengths) + gap for lengths in zip(*(part.size for part in parts), strict=True))
    down = -(-len(parts) // across)
    image, _ = _blank(across * width - gap, down * height - gap)
    for number, part in enumerate(parts):
        image.paste(part, (number % across * width, number // across * height))
    return image


def _titled(name: str, axes: Sequence[Axis], body: PIL.Image.Image, style: _Style) -> PIL.Image.Image:
    """The body on paper, under the name of the graph and what varies."""
    words = ", ".join(f"{axis.name} ({len(axis.values)})" for axis in axes)
    width = max(body.width, 240)
    top = _MARGIN + 28 + style.line + _GAP
    image, pen = _blank(width + 2 * _MARGIN, top + body.height + _MARGIN)
    pen.text((_MARGIN, _MARGIN - 4), shorten(name, style.title, width), fill=BLACK, font=style.title)
    pen.text((_MARGIN, _MARGIN + 24), shorten(words, style.font, width), fill=GREY, font=style.font)
    image.paste(body, (_MARGIN, top))
    return image
