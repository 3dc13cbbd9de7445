"""What a large workflow costs: each wire is followed, and none for another one again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from counting import calls  # found through the line above

from limner.comfy.classes import Classes
from limner.comfy.flatten import flatten
from limner.engine.registry import Registry

CLASSES = Classes(Registry.installed())


def node(node_id: int, kind: str, link: int | None = None, *values: str) -> dict[str, Any]:
    inputs = [] if link is None else [{"name": "noise_seed", "type": "INT", "link": link}]
    return {"id": node_id, "type": kind, "inputs": inputs, "widgets_values": list(values)}


def rerouted(count: int) -> dict[str, Any]:
    """A chain of reroutes, and as many nodes that are wired to its end."""
    chain = [node(i, "Reroute", i) for i in range(2, count + 2)]
    users = [node(1000 + i, "RandomNoise", 1000 + i) for i in range(count)]
    links = [[i, i - 1, 0, i, 0, "*"] for i in range(2, count + 2)]
    links += [[1000 + i, count + 1, 0, 1000 + i, 0, "*"] for i in range(count)]
    return {"nodes": [node(1, "PrimitiveInt"), *chain, *users], "links": links}


def named(count: int) -> dict[str, Any]:
    """Wires without a line, each to a node of its own."""
    nodes, links = [], []
    for i in range(count):
        nodes += [
            node(4 * i, "PrimitiveInt"),
            node(4 * i + 1, "SetNode", 2 * i, f"n{i}"),
            node(4 * i + 2, "GetNode", None, f"n{i}"),
            node(4 * i + 3, "RandomNoise", 2 * i + 1),
        ]
        links += [[2 * i, 4 * i, 0, 4 * i + 1, 0, "*"], [2 * i + 1, 4 * i + 2, 0, 4 * i + 3, 0, "*"]]
    return {"nodes": nodes, "links": links}


@pytest.mark.parametrize("made", [rerouted, named])
def test_many_wires_cost_no_more_each_than_few(made: Callable[[int], dict[str, Any]]) -> None:
    """What wires have in common is followed once, and what a name stands for is known."""
    few, many = made(50), made(100)
    assert sum(isinstance(one["inputs"].get("noise_seed"), list) for one in flatten(few, CLASSES).prompt.values()) == 50
    assert calls(lambda: flatten(many, CLASSES)) < 2.5 * calls(lambda: flatten(few, CLASSES))
