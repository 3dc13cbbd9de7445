"""Values as Python source, in the form that people write."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

_WIDTH = 100
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What an editor does not show, or what turns the direction of a line."""


def literal(value: Any) -> str:
    r"""A text, number, truth value, None, or a list or tuple of them, as an expression that gives just that.

    >>> print(literal('a "red" circle\n'))
    'a "red" circle\n'
    """
    if isinstance(value, str):
        # JSON's escapes are Python's as well
        quoted = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
        is_full_of_quotes = '"' in value and "'" not in value
        return "'" + quoted[1:-1].replace('\\"', '"') + "'" if is_full_of_quotes else quoted
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def wrapped(value: Any) -> str:
    """The same over several lines where it is long."""
    line = literal(value)
    if len(line) <= _WIDTH:
        return line
    if isinstance(value, str):
        parts = [part for line in value.splitlines(keepends=True) for part in _wrap(line)]
        if "".join(parts) == value and len(parts) > 1:
            return "(\n" + "".join(f"    {literal(part)}\n" for part in parts) + ")"
    if isinstance(value, list):
        return "[\n" + "".join(f"    {literal(part)},\n" for part in value) + "]"
    return line


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH - 10, drop_whitespace=False, replace_whitespace=False, expand_tabs=False)


def comment(text: str) -> str:
    """A text of others as one line that can stand behind ``#`` or between three quotes."""
    line = " ".join(text.split())
    return literal(line.replace('"', "'"))[1:-1]


def call(function: str, *arguments: str) -> str:
    """A call, one argument a line where it is long."""
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    return f"{function}(\n" + "".join(f"{textwrap.indent(one, '    ')},\n" for one in arguments) + ")"
