"""Where nodes stand on a canvas that nobody arranged: in the layers of ``limner show``, each with room for what it
shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

from limner.comfy.node_size import SLOT, TITLE
from limner.drawing import Card, Drawing, Edge
from limner.engine.order import find_order
from limner.layout import layout_of

Place = Sequence[float]
_BESIDE: Final = 80
"""Between layers."""
_BELOW: Final = 80
"""Between what somebody arranged and the rest."""
_MOST_PAIRS: Final = 1_000_000
"""Of nodes that are compared: a graph of a server's client may have 20,000 nodes."""
_SOCKET: Final = 14
"""From the top of a node to its first socket."""


@dataclass(frozen=True)
class Box:
    """What a node takes, below its title."""

    width: float
    height: float


def places(boxes: Mapping[str, Box], wires: Sequence[Edge], known: Mapping[str, Place]) -> dict[str, Place]:
    """Where each node stands: where it is known to, exactly; the others in layers around those, or below them where
    there is no room, or too many to look for it.
    """
    if len(known) == len(boxes):
        return dict(known)
    found = _in_layers(boxes, wires)
    if known:
        found = _around(known, found, boxes)
    return {name: known[name] if name in known else found[name] for name in boxes}


def _around(known: Mapping[str, Place], layers: Mapping[str, Place], boxes: Mapping[str, Box]) -> dict[str, Place]:
    """The layers with their middle where that of the known nodes is, or below these."""
    right, down = (mean(place[side] - layers[name][side] for name, place in known.items()) for side in (0, 1))
    found: dict[str, Place] = {name: [round(x + right), round(y + down)] for name, (x, y) in layers.items()}
    free = [name for name in boxes if name not in known]
    if len(free) * len(known) <= _MOST_PAIRS and not any(
        _meet(found[one], boxes[one], known[other], boxes[other]) for one in free for other in known
    ):
        return found
    bottom = max(y + boxes[name].height + TITLE for name, (_, y) in known.items())
    lower = bottom + _BELOW - min(found[name][1] for name in free)
    return {name: [x, round(y + lower)] for name, (x, y) in found.items()}


def _meet(one: Place, box: Box, other: Place, other_box: Box) -> bool:
    """Whether two nodes would lie upon each other, titles counted."""
    return (
        one[0] < other[0] + other_box.width
        and other[0] < one[0] + box.width
        and one[1] < other[1] + other_box.height + TITLE
        and other[1] < one[1] + box.height + TITLE
    )


def _in_layers(boxes: Mapping[str, Box], wires: Sequence[Edge]) -> dict[str, Place]:
    drawing = _sorted(boxes, wires)
    layout = layout_of(
        drawing,
        lambda name: boxes[name].height + TITLE,
        lambda wire: (TITLE + _SOCKET + SLOT * wire.output, TITLE + _SOCKET + SLOT * wire.input),
    )
    widths: dict[int, float] = defaultdict(float)
    for name, layer in layout.layer.items():
        widths[layer] = max(widths[layer], boxes[name].width)
    lefts: dict[int, float] = {}
    left = 0.0
    for layer in sorted(widths):
        lefts[layer] = left
        left += widths[layer] + _BESIDE
    return {name: [lefts[layout.layer[name]], round(layout.y[name])] for name in boxes}


def _sorted(boxes: Mapping[str, Box], wires: Sequence[Edge]) -> Drawing:
    """Nodes in an order in which they can run; wires that lead back, of a graph with a fault, pull nothing."""
    needs: dict[str, list[str]] = {name: [] for name in boxes}
    for wire in wires:
        needs[wire.target].append(wire.source)
    order = list(dict.fromkeys([*find_order(needs), *boxes]))
    number = {name: position for position, name in enumerate(order)}
    forward = (wire for wire in wires if number[wire.source] < number[wire.target])
    return Drawing("", "", {name: Card(name, "", (), (), ()) for name in order}, tuple(forward))
