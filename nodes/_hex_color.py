"""Hex colors in prompts: what is one, and what was meant to be one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

EXAMPLE: Final = "#367588"
_HEX = re.compile(r"#[0-9a-f]+", re.ASCII | re.IGNORECASE)
_AMONG_WORDS = re.compile(r"(?<![\w&#])#[0-9a-f]{3,8}(?![\w-])", re.ASCII | re.IGNORECASE)


def color_fault(text: str) -> str | None:
    """What is wrong with an entry of a palette: words are free, but what begins with # must be #RRGGBB."""
    if not text.startswith("#"):
        return None
    word = text.split()[0].rstrip(",;:.")
    if not _HEX.fullmatch(word):
        return f"{word} is no color: write {EXAMPLE}, or say it in words"
    return _digits_fault(word)


def lookalike_fault(text: str) -> str | None:
    """The same for a text that may be about anything: only one that is nothing but # and hex digits is judged."""
    text = text.strip()
    return _digits_fault(text) if len(text) > 3 and _HEX.fullmatch(text) else None


def odd_colors(prompt: str) -> Iterator[str]:
    """What is wrong with colors in a prompt, each once. #100 may be a number, and nothing is said of it."""
    for word in dict.fromkeys(_AMONG_WORDS.findall(prompt)):
        if (len(word) > 5 or not word[1:].isdecimal()) and (fault := _digits_fault(word)) is not None:
            yield fault


def _digits_fault(word: str) -> str | None:
    digits = word[1:]
    if len(digits) == 6:
        return None
    if len(digits) in (3, 4):
        return f"{word} is short for #{''.join(digit * 2 for digit in digits[:3])}: write that"
    if len(digits) == 8:
        return f"{word} has a transparency, which FLUX.2 does not know: write {word[:7]}"
    return f"{word} has {len(digits)} hex digit{'' if len(digits) == 1 else 's'}, and a color has 6, as in {EXAMPLE}"
