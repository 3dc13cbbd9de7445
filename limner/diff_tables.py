"""What differs between two graphs, as a table and as data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from limner.engine.difference import Change, Difference, Value
from limner.replay import Change as MadeChange
from limner.tables import table_of
from limner.terminal import printable


def diff_table(names: tuple[str, str], found: Difference, made: Iterable[MadeChange]) -> RenderableType:
    """One line for each thing that differs: a mark, the node, what of it, and what stands there in each graph."""
    table = table_of("", "node", "what", *map(_line, names))
    for name, kind in found.removed.items():
        table.add_row(*_marked("-", "red", name), _line(kind), "", "")
    for name, kind in found.added.items():
        table.add_row(*_marked("+", "green", name), _line(kind), "", "")
    for old, new in found.renamed.items():
        table.add_row(*_marked("~", "yellow", new), "id", *_sides(old, new))
    for change in found.changes:
        sides = _sides(_shown(change, change.before), _shown(change, change.after))
        table.add_row(*_marked("~", "yellow", change.node or ""), _line(change.place), *sides)
    for one in made:
        table.add_row(*_marked("!", "yellow", ""), _line(f"{one.kind}: {one.what}"), *_sides(one.then, one.now))
    return table


def _marked(mark: str, colour: str, node: str) -> tuple[Text, Text]:
    return Text(mark, style=colour), Text(_line(node), style="cyan")


def _sides(before: str, after: str) -> tuple[Text, Text]:
    return Text(printable(before), style="red"), Text(printable(after), style="green")


def _line(text: str) -> str:
    return printable(text, one_line=True)


def _shown(change: Change, value: Value | None) -> str:
    if value is None:
        return "-"
    what = value.value
    if isinstance(what, list) and change.place.startswith(("wires.", "parameters.")):
        return ", ".join(what)
    text = what if isinstance(what, str) and what else json.dumps(what, ensure_ascii=False)
    return f"{text} (default)" if value.is_default else text


def as_data(found: Difference, made: Iterable[MadeChange]) -> dict[str, Any]:
    """The same for programs. A side that has nothing in a place is left out."""
    return {
        "same": not found and not list(made),
        "added": dict(found.added),
        "removed": dict(found.removed),
        "renamed": dict(found.renamed),
        "changes": [
            {"node": change.node, "place": change.place}
            | ({} if change.before is None else {"before": change.before.value})
            | ({} if change.after is None else {"after": change.after.value})
            for change in found.changes
        ],
        "made": [{"kind": one.kind, "what": one.what, "before": one.then, "after": one.now} for one in made],
    }
