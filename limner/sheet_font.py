"""The font of a sheet: Pillow's own, or one of the machine's where words have letters that it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from PIL import ImageFont

from limner.nodes._contact_sheet import Font

SYSTEM_FONTS: Final = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "arial.ttf",
    "msyh.ttc",
)
"""Fonts of Linux, macOS and Windows with many letters, those with the most common ones first."""
_NOBODY_HAS: Final = "\uffff"


def sheet_font(words: Iterable[str], size: int) -> Font:
    """The first font that has every letter of the words; Pillow's own, which has ASCII, where none does."""
    own = ImageFont.load_default(size)
    letters = {letter for text in words for letter in text if not letter.isascii()}
    if not letters:
        return own
    for name in SYSTEM_FONTS:
        font = _system_font(name, size)
        if font is not None and all(_has(font, letter) for letter in letters):
            return font
    return own


def _system_font(name: str, size: int) -> Font | None:
    """A font of this machine; None where it has none of this name."""
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _has(font: Font, letter: str) -> bool:
    """Whether a font draws a letter otherwise than what it does not know."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(_NOBODY_HAS))
