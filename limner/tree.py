"""A graph in the terminal: a tree from sources to goals, in which every node is drawn once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from limner.drawing import Card, Drawing, Edge
from limner.terminal import printable

MAX_DEPTH = 24
"""A longer chain goes on at the left, so that no line begins outside the terminal."""
_MAX_VALUE = 60


@dataclass(frozen=True)
class _Place:
    """A node in the tree: the wire that leads there, and for every level above whether it is the last one."""

    name: str
    wire: Edge | None = None
    lasts: tuple[bool, ...] = ()


def tree_lines(drawing: Drawing) -> Iterator[Text]:
    """The lines. A node stands at the end of the longest way to it; where else it is needed, an arrow points to it."""
    homes, followers = _homes(drawing), _followers(drawing)
    roots = [_Place(name) for name in drawing.cards if name not in homes]
    while roots:
        stack = [roots.pop(0)]
        while stack:
            place = stack.pop()
            if place.wire is not None and homes[place.name] is not place.wire:
                yield _line(drawing, place, Text(f"→ {_plain(place.name)}", style="dim"))
            elif len(place.lasts) > MAX_DEPTH:
                yield _line(drawing, place, Text(f"↓ {_plain(place.name)}", style="dim"))
                roots.insert(0, _Place(place.name))
            else:
                yield _line(drawing, place, _card(drawing.cards[place.name]))
                wires = followers[place.name]
                below = [_Place(wire.target, wire, (*place.lasts, wire is wires[-1])) for wire in wires]
                stack += reversed(below)


def _homes(drawing: Drawing) -> dict[str, Edge]:
    """By node, the wire under which it is drawn."""
    depth = dict.fromkeys(drawing.cards, 0)
    incoming: dict[str, list[Edge]] = defaultdict(list)
    for wire in drawing.edges:
        incoming[wire.target].append(wire)
    homes: dict[str, Edge] = {}
    for name in drawing.cards:  # what a node needs stands before it
        if incoming[name]:
            homes[name] = max(incoming[name], key=lambda wire: depth[wire.source])
            depth[name] = depth[homes[name].source] + 1
    return homes


def _followers(drawing: Drawing) -> dict[str, list[Edge]]:
    """By node, the wires that leave it, in the order of its outputs."""
    found: dict[str, list[Edge]] = defaultdict(list)
    for wire in sorted(drawing.edges, key=lambda wire: wire.output):
        found[wire.source].append(wire)
    return found


def _line(drawing: Drawing, place: _Place, content: Text) -> Text:
    if not place.lasts:
        return content
    above = "".join("   " if is_last else "│  " for is_last in place.lasts[:-1])
    line = Text(above + ("└─ " if place.lasts[-1] else "├─ "), style="dim")
    if place.wire is not None:
        line.append(f"{_plain(drawing.cards[place.name].inputs[place.wire.input].name)}: ", style="dim")
    return line.append_text(content)


def _card(card: Card) -> Text:
    line = Text.assemble((_plain(card.id), "bold cyan"), "  ", _plain(card.type))
    for name, value in card.settings:
        shown = _plain(value)
        shown = shown if len(shown) <= _MAX_VALUE else f"{shown[: _MAX_VALUE - 1]}…"
        line.append_text(Text.assemble("  ", (f"{_plain(name)} ", "dim"), (shown, "green")))
    return line


def _plain(text: str) -> str:
    return printable(text, one_line=True)
