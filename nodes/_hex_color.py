"""Hex colors in prompts: what is one, and what was meant to be one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

EXAMPLE: Final = "#367588"
_HEX = re.compile(r"#[0-9a-f]+", re.ASCII | re.IGNORECASE)
_AMONG_WORDS = re.compile(r"(?<![\w&#])#[0-9a-z]{3,}(?![\w-])", re.ASCII | re.IGNORECASE)


def color_fault(text: str) -> str | None:
    """What is wrong with an entry of a palette: words are free, but what begins with # must be #RRGGBB."""
    if text.startswith("#"):
        word = text.split()[0].rstrip(",;:.")
        if not _HEX.fullmatch(word):
            return f"{word} is no color: write {EXAMPLE}, or say it in words"
        if fault := _digits_fault(word):
            return fault
    return lookalike_fault(text)


def lookalike_fault(text: str) -> str | None:
    """What is wrong with all colors in a text that may be about anything."""
    return "; ".join(odd_colors(text)) or None


def odd_colors(text: str) -> Iterator[str]:
    """What is wrong with colors among words, each once.

    A word is taken for a color where # comes before three or more hex digits, or before six letters and digits with
    just one slip. #1 and #12 are numbers, #winter is a word.
    """
    for word in dict.fromkeys(_AMONG_WORDS.findall(text)):
        fault = _digits_fault(word) if _HEX.fullmatch(word) else _slip_fault(word)
        if fault is not None:
            may_be_number = len(word) <= 5 and word[1:].isdecimal()
            yield f"{fault}; a number goes without #" if may_be_number else fault


def _slip_fault(word: str) -> str | None:
    others = [letter for letter in word[1:] if letter.lower() not in "0123456789abcdef"]
    if len(word) != len(EXAMPLE) or len(others) != 1 or word[1:].isalpha():
        return None
    return f"{word} has the letter {others[0]}, which is no hex digit"


def _digits_fault(word: str) -> str | None:
    digits = word[1:]
    if len(digits) == 6:
        return None
    if len(digits) in (3, 4):
        return f"{word} is short for #{''.join(digit * 2 for digit in digits[:3])}: write that"
    if len(digits) == 8:
        return f"{word} has a transparency, which FLUX.2 does not know: write {word[:7]}"
    return f"{word} has {len(digits)} hex digit{'' if len(digits) == 1 else 's'}, and a color has 6, as in {EXAMPLE}"
