"""Where the nodes of a drawing stand: in layers from left to right, with few crossings and straight wires.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers, places for long wires in the layers that they pass, an
order within each layer by the mean of the neighbours, and then positions, each layer as near to its neighbours as the
order lets it be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from limner.drawing import Drawing, Edge

GAP = 26.0
"""Between what stands below each other."""
_PASS_HEIGHT = 6.0
"""Of a place where a wire passes a layer."""
_SWEEPS = 12
_MOST_PASSES = 50_000
"""Of all wires together. In larger graphs the longest go straight, so that drawing takes seconds and not hours."""


@dataclass
class Item:
    """What has a place in a layer: a node, or a wire that passes."""

    layer: int
    height: float
    y: float = 0.0
    links: dict[int, list[tuple[Item, float]]] = field(default_factory=lambda: defaultdict(list))
    """By direction (-1: the layer before, 1: the one behind), neighbours, and what to add to their
    height for a straight wire."""


@dataclass(frozen=True)
class Layout:
    """The places. ``y`` is the top of a node; ``passes`` the heights at which a wire passes the layers between."""

    layer: Mapping[str, int]
    y: Mapping[str, float]
    passes: Mapping[int, Sequence[tuple[int, float]]]
    """By number of the wire in the drawing, each layer that it passes and at which height."""
    height: float


def layout_of(drawing: Drawing, height: Callable[[str], float], ends: Callable[[Edge], tuple[float, float]]) -> Layout:
    """Place nodes of the given heights; ``ends`` says how far below the tops of its nodes a wire begins and ends."""
    layer = _layers(drawing)
    items = {name: Item(layer[name], height(name)) for name in drawing.cards}
    places: dict[tuple[str, int, int], Item] = {}
    passing: dict[int, list[Item]] = {}
    longest = _longest(drawing, layer)
    for number, wire in enumerate(drawing.edges):
        begin, end = ends(wire)
        is_short = layer[wire.target] - layer[wire.source] <= longest
        passing[number] = _passes(wire, layer, places) if is_short else []
        chain = [items[wire.source], *passing[number], items[wire.target]]
        offsets = [begin, *[_PASS_HEIGHT / 2] * len(passing[number]), end]
        for (one, here), (other, there) in pairwise(zip(chain, offsets, strict=True)):
            one.links[1].append((other, there - here))
            other.links[-1].append((one, here - there))
    layers: list[list[Item]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for item in (*items.values(), *places.values()):
        layers[item.layer].append(item)
    _arrange(layers)
    top = min((item.y for column in layers for item in column), default=0.0)
    bottom = max((item.y + item.height for column in layers for item in column), default=0.0)
    return Layout(
        layer,
        {name: item.y - top for name, item in items.items()},
        {n: [(item.layer, item.y - top + _PASS_HEIGHT / 2) for item in chain] for n, chain in passing.items()},
        bottom - top,
    )


def _layers(drawing: Drawing) -> dict[str, int]:
    """The length of the longest way to each node; a node that needs nothing stands just before what needs it."""
    layer = dict.fromkeys(drawing.cards, 0)
    incoming, outgoing = defaultdict(list), defaultdict(list)
    for wire in drawing.edges:
        incoming[wire.target].append(wire.source)
        outgoing[wire.source].append(wire.target)
    for name in drawing.cards:
        layer[name] = max((layer[source] + 1 for source in incoming[name]), default=0)
    for name in drawing.cards:
        if not incoming[name] and outgoing[name]:
            layer[name] = min(layer[target] for target in outgoing[name]) - 1
    return layer


def _longest(drawing: Drawing, layer: Mapping[str, int]) -> float:
    """How many layers a wire may lead on and still have a place in each of them."""
    passed = sum(layer[wire.target] - layer[wire.source] for wire in drawing.edges)
    return inf if passed <= _MOST_PASSES else _MOST_PASSES / len(drawing.edges)


def _passes(wire: Edge, layer: Mapping[str, int], places: dict[tuple[str, int, int], Item]) -> list[Item]:
    """The places where a wire passes layers. Wires from one output go together as far as they can."""
    between = [(wire.source, wire.output, one) for one in range(layer[wire.source] + 1, layer[wire.target])]
    for place in between:
        if place not in places:
            places[place] = Item(place[2], _PASS_HEIGHT)
    return [places[place] for place in between]


def _arrange(layers: Sequence[list[Item]]) -> None:
    """Sort each layer by where its neighbours are, then bring everything as near to them as the order lets it be."""
    for column in layers:
        _stack(column)
    for sweep in range(_SWEEPS):
        direction = -1 if sweep % 2 == 0 else 1
        for column in layers if direction == -1 else reversed(layers):
            column.sort(key=lambda item: _wanted(item, (direction,)) + item.height / 2)
            _settle(column, (direction,))
    for _ in range(_SWEEPS):
        for column in layers:
            _settle(column, (-1, 1))


def _stack(column: Iterable[Item]) -> None:
    y = 0.0
    for item in column:
        item.y, y = y, y + item.height + GAP


def _wanted(item: Item, directions: Iterable[int]) -> float:
    """The height at which the wires to one side, or both, are straight on average."""
    heights = [other.y + offset for way in directions for other, offset in item.links[way]]
    return sum(heights) / len(heights) if heights else item.y


def _settle(column: Sequence[Item], directions: tuple[int, ...]) -> None:
    """The heights nearest to the wanted ones that keep the order and the gaps, in the sense of least squares.

    Without the room that each takes, it is a regression that only rises, solved by pooling neighbours that violate it.
    """
    room = 0.0
    pools: list[tuple[float, int]] = []  # sum of what is wanted, and how many want it
    rooms: list[float] = []
    for item in column:
        pools.append((_wanted(item, directions) - room, 1))
        rooms.append(room)
        room += item.height + GAP
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            (total, count), (more, others) = pools[-2], pools.pop()
            pools[-1] = (total + more, count + others)
    heights = [total / count for total, count in pools for _ in range(count)]
    for item, height, taken in zip(column, heights, rooms, strict=True):
        item.y = height + taken
