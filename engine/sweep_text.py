"""``NAME=VALUES`` as people write it: lists, ranges, quoted texts, JSON lists, and files with a value a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from limner.engine.document import Document, read_json
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.expand import Library
from limner.engine.parameters import is_unicode, kinds_of, read_value, schema_of
from limner.engine.registry import Registry
from limner.engine.sweep import MAX_VARIANTS, Axis
from limner.engine.user_path import user_path

EXAMPLE: Final = 'for example: seed=1..8, guidance=2,4.5, strength=0..1..0.25, prompt=@prompts.txt, prompt="a, b","c"'

_NUMBER = r"([+-]?\d{1,40}(?:\.\d{1,40})?)"
_RANGE = re.compile(rf"{_NUMBER}\.\.{_NUMBER}(?:\.\.{_NUMBER})?", re.ASCII)
_DECODER = json.JSONDecoder()


def read_axis(
    text: str, document: Document, registry: Registry, library: Library | None = None, most: int = MAX_VARIANTS
) -> Axis:
    """The axis that ``NAME=VALUES`` describes, each value read as the setting wants it.

    Whether the setting takes the values is checked with the graph. Raises GraphError for what cannot be read, and for
    ranges of more than ``most`` values.
    """
    name, equals, values = text.partition("=")
    name = name.strip()
    try:
        if not equals or not name:
            raise _Unreadable("is not NAME=VALUES", EXAMPLE)
        if not is_unicode(text):
            raise _Unreadable("is not Unicode text", "is the terminal's encoding UTF-8?")
        schema = schema_of(name, document, registry, library)
        return Axis(name, tuple(_read(values.strip(), schema, most)))
    except _Unreadable as error:
        shown = ascii(text)[1:-1] if not is_unicode(text) else text
        raise GraphError([Fault(f"--sweep {shown[:100]}: {error.message}", hint=error.hint)]) from None


class _Unreadable(InputError):
    """What is wrong with the values."""

    def __init__(self, message: str, hint: str | None) -> None:
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class _Item:
    """One value as it was written; of a quoted one, what the quotes hold."""

    text: str
    is_quoted: bool = False


def _read(values: str, schema: Mapping[str, Any], most: int) -> Iterator[Any]:
    if values.startswith("@"):
        yield from _read_file(values[1:], schema)
    elif values.startswith("["):
        yield from _json_list(values)
    else:
        for item in _split(values):
            yield from _values_of(item, schema, most)


def _read_file(name: str, schema: Mapping[str, Any]) -> Iterator[Any]:
    """A JSON list, or a value a line; empty lines count for nothing."""
    if not name:
        raise _Unreadable("@ names no file", "for example: prompt=@prompts.txt")
    try:
        content = user_path(name).read_text("utf-8-sig")
    except OSError as error:
        raise _Unreadable(f"cannot read {name}: {error.strerror}", "quote a text that begins with @") from error
    except UnicodeDecodeError as error:
        raise _Unreadable(f"{name} is not UTF-8 text", "save the file as UTF-8") from error
    except InputError as error:
        raise _Unreadable(error.message, error.hint) from error
    if content.lstrip().startswith("["):
        yield from _json_list(content)
    else:
        yield from (read_value(line.strip(), schema) for line in content.splitlines() if line.strip())


def _json_list(text: str) -> list[Any]:
    try:
        found: list[Any] = read_json(text)  # what begins with a bracket, and is JSON, is a list
    except GraphError as error:
        raise _Unreadable(error.faults[0].message, "quote a text that begins with [") from error
    return found


def _split(values: str) -> list[_Item]:
    """The items between commas; commas within quotes, braces and brackets are theirs."""
    items: list[_Item] = []
    rest = values
    while True:
        rest = rest.lstrip()
        item, rest = _first(rest)
        if not item.text and not item.is_quoted:
            raise _Unreadable("a value is empty", 'write "" for an empty text')
        items.append(item)
        if not rest:
            return items
        if not rest.startswith(","):
            raise _Unreadable(f"after {item.text[:40]!r} there must be a comma", "quote a text that has quotes in it")
        rest = rest[1:]


def _first(text: str) -> tuple[_Item, str]:
    if not text.startswith(('"', "{", "[")):
        found, comma, rest = text.partition(",")
        return _Item(found.strip()), comma + rest
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        kind = "quotes that do not end" if text[0] == '"' else "a JSON value that is none"
        raise _Unreadable(f"{text[:40]!r} begins {kind}", "quote a text as JSON does") from None
    item = _Item(value, is_quoted=True) if isinstance(value, str) else _Item(text[:end])
    return item, text[end:].lstrip()


def _values_of(item: _Item, schema: Mapping[str, Any], most: int) -> Iterator[Any]:
    """One value, or those of a range, where the setting takes numbers."""
    kinds = kinds_of(schema)
    if item.is_quoted:
        yield item.text
    elif "string" in kinds or not kinds & {"integer", "number"} or ".." not in item.text:
        yield read_value(item.text, schema)
    elif (found := _RANGE.fullmatch(item.text)) is not None:
        yield from _range(*found.groups(), most=most)
    else:
        raise _Unreadable(f"{item.text} is no range", "write 1..8, or 0..1..0.25 with a step")


def _range(first: str, last: str, step: str | None, *, most: int) -> Iterator[int | float]:
    """From the first number to the last, which is included where the steps hit it. Steps are exact: 0.3, not 0.30...04.

    Raises _Unreadable for steps that never get there, and for too many.
    """
    start, end = Fraction(first), Fraction(last)
    size = Fraction(step) if step is not None else Fraction(1 if end >= start else -1)
    if not size or (end - start) / size < 0:
        raise _Unreadable(f"from {first} steps of {step} never come to {last}", "mind the sign of the step")
    count = (end - start) // size + 1
    if count > most:
        message = f"{first}..{last} are {count:,} values, and {most:,} variants are allowed"
        raise _Unreadable(message, f"take larger steps, or allow more with --max-variants {count}")
    is_whole = not any("." in part for part in (first, last, step or ""))
    for number in range(count):
        value = start + number * size
        yield int(value) if is_whole else float(value)
