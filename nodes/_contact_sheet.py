"""Pictures in rows and columns with words under each, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

_GAP: Final = 12
BLACK, GREY = "#111111", "#5f5f5f"
_MAX_LINES: Final = 4

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Tile:
    """A picture (H, W, 3) and what is written under it: its name, then what is to be said about it."""

    picture: NDArray[np.uint8]
    name: str
    note: str


def contact_sheet(rows: Sequence[Sequence[Tile]], headings: Sequence[str], width: int) -> NDArray[np.uint8]:
    """The tiles of each row beside each other, each ``width`` pixels wide: (H, W, 3), white where nothing is.

    ``headings`` stand over the columns, in up to four lines. The size of the words follows the width.
    """
    size = max(13, width // 14)
    name_font, note_font = ImageFont.load_default(size), ImageFont.load_default(size - 1)
    line = round(size * 1.35)
    heads = [wrap(heading, name_font, width) for heading in headings]
    top = max(map(len, heads), default=0) * line
    heights = [max(_height(tile.picture, width) for tile in row) + 2 * line + _GAP for row in rows]
    columns = max(map(len, rows))
    whole = (columns * (width + _GAP) + _GAP, top + sum(heights) + 2 * _GAP)
    sheet = PIL.Image.new("RGB", whole, "white")
    pen = ImageDraw.Draw(sheet)
    for column, lines in enumerate(heads):
        x = _GAP + column * (width + _GAP)
        for number, words in enumerate(lines):
            pen.text((x, _GAP // 2 + number * line), words, fill=BLACK, font=name_font)
    y = top + _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            x = _GAP + column * (width + _GAP)
            shown = _scaled(tile.picture, width)
            sheet.paste(shown, (x, y))
            below = y + shown.height + 2
            pen.text((x, below), shorten(tile.name, name_font, width), fill=BLACK, font=name_font)
            pen.text((x, below + line), shorten(tile.note, note_font, width), fill=GREY, font=note_font)
        y += height
    return np.asarray(sheet)


def _height(picture: NDArray[np.uint8], width: int) -> int:
    height, own_width = picture.shape[:2]
    return max(1, round(int(height) * width / int(own_width)))


def _scaled(picture: NDArray[np.uint8], width: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(picture).resize((width, _height(picture, width)), PIL.Image.Resampling.LANCZOS)


def wrap(text: str, font: Font, width: int) -> list[str]:
    """At most four lines of whole words; the last one is shortened where there is more."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        is_full = font.getlength(joined) > width and len(lines) < _MAX_LINES
        lines = [*lines, word] if is_full or not lines else [*lines[:-1], joined]
    return [shorten(line, font, width) for line in lines]


def shorten(text: str, font: Font, width: int) -> str:
    """The text, its end replaced by an ellipsis where it is too wide."""
    text = text if len(text) <= width else f"{text[:width]}..."  # no letter is narrower than a pixel
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."
