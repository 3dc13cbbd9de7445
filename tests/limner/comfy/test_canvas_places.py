"""Where nodes stand that nobody placed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.comfy.canvas_places import Box, places
from limner.comfy.node_size import TITLE
from limner.drawing import Edge

Graph = tuple[dict[str, Box], list[Edge]]
BOXES = st.builds(Box, st.integers(100, 600), st.integers(26, 900))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    boxes = {str(number): draw(BOXES) for number in range(draw(st.integers(1, 12)))}
    pairs = [(a, b) for b in range(len(boxes)) for a in range(b)]
    wired = draw(st.lists(st.sampled_from(pairs), max_size=25)) if pairs else []
    return boxes, [Edge(str(a), draw(st.integers(0, 2)), str(b), number) for number, (a, b) in enumerate(wired)]


def overlap(boxes: dict[str, Box], found: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    return [
        (one, other)
        for one in boxes
        for other in boxes
        if one < other
        and found[one][0] < found[other][0] + boxes[other].width
        and found[other][0] < found[one][0] + boxes[one].width
        and found[one][1] < found[other][1] + boxes[other].height + TITLE
        and found[other][1] < found[one][1] + boxes[one].height + TITLE
    ]


@given(graphs())
@settings(deadline=None)
def test_no_two_nodes_overlap_and_wires_lead_to_the_right(graph: Graph) -> None:
    """Titles counted, and each node wholly to the right of what it is wired to."""
    boxes, wires = graph
    found = {name: (x, y) for name, (x, y) in places(boxes, wires, {}).items()}
    assert overlap(boxes, found) == []
    assert all(found[wire.source][0] + boxes[wire.source].width < found[wire.target][0] for wire in wires)


@given(graphs(), st.data())
@settings(deadline=None)
def test_what_is_placed_stays_and_the_rest_finds_room(graph: Graph, data: st.DataObject) -> None:
    """Exactly where it was put; nothing else lies upon it."""
    boxes, wires = graph
    known = {
        name: (data.draw(st.floats(-3000, 3000)), data.draw(st.floats(-3000, 3000)))
        for name in data.draw(st.lists(st.sampled_from(sorted(boxes)), unique=True))
    }
    found = {name: (x, y) for name, (x, y) in places(boxes, wires, known).items()}
    assert {name: found[name] for name in known} == known
    assert [pair for pair in overlap(boxes, found) if not known.keys() >= set(pair)] == []


@pytest.mark.parametrize(("count", "is_below"), [(20, False), (2100, True)])
def test_of_very_many_nodes_the_rest_stands_below(count: int, is_below: bool) -> None:
    """Between two groups there is room, which is not looked for where every node would be compared with every other."""
    boxes = dict.fromkeys(map(str, range(count)), Box(320, 100))
    known = {str(number): (10_000 * (-1) ** number, 200 * number) for number in range(count // 2)}
    found = places(boxes, [], known)
    highest = min(found[name][1] for name in boxes.keys() - known.keys())
    assert (highest > max(y for _, y in known.values())) is is_below


def test_a_chain_is_straight_and_a_fan_is_even() -> None:
    """Nodes of one size stand in a line; those that one leads to, around it."""
    boxes = dict.fromkeys("abcd", Box(320, 100))
    chain = places(boxes, [Edge("a", 0, "b", 0), Edge("b", 0, "c", 0), Edge("c", 0, "d", 0)], {})
    assert [chain[name] for name in "abcd"] == [[400 * number, chain["a"][1]] for number in range(4)]
    fan = places(boxes, [Edge("a", 0, name, 0) for name in "bcd"], {})
    assert fan["c"][1] == pytest.approx(fan["a"][1], abs=1)
    assert fan["d"][1] - fan["c"][1] == pytest.approx(fan["c"][1] - fan["b"][1], abs=1)


def test_wires_in_a_circle_do_not_stop_the_drawing() -> None:
    """A graph with a fault is opened so that it can be mended."""
    boxes = dict.fromkeys("abc", Box(320, 100))
    found = places(boxes, [Edge("a", 0, "b", 0), Edge("b", 0, "a", 0), Edge("b", 0, "c", 0)], {})
    assert len({tuple(place) for place in found.values()}) == 3
