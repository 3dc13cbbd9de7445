"""Switches in prompts: what is not given on is not needed."""

from __future__ import annotations

from typing import Any

import pytest

from limner.comfy.classes import Classes
from limner.comfy.prompt import graph_of
from limner.comfy.switches import decided
from limner.engine.registry import Registry

CLASSES = Classes(Registry.installed())


def prompt(switch: Any, **rest: Any) -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "b.png"}},
        "3": {"class_type": "ComfySwitchNode", "inputs": {"switch": switch, "on_false": ["1", 0], "on_true": ["2", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    } | rest


@pytest.mark.parametrize(
    ("switch", "needed"),
    [
        (False, {"1", "3", "4"}),
        (True, {"2", "3", "4"}),
        (["5", 0], {"2", "3", "4", "5"}),
        (["6", 0], {"1", "2", "3", "4", "6"}),
        ("yes", {"1", "2", "3", "4"}),
    ],
    ids=str,
)
def test_only_the_side_that_counts_is_in_the_graph(switch: Any, needed: set[str]) -> None:
    """A boolean that is wired in counts as well; what is known only while it runs leaves both."""
    flag = {"class_type": "PrimitiveBoolean", "inputs": {"value": True}}
    other = {"class_type": "GetImageSize", "inputs": {"image": ["1", 0]}}
    read = graph_of(decided(prompt(switch, **{"5": flag, "6": other})), CLASSES)
    assert set(read.graph["nodes"]) == needed


@pytest.mark.parametrize("broken", [None, 3, [], {}, {"class_type": "ComfySwitchNode"}, {"class_type": 5, "inputs": 7}])
def test_what_is_no_node_is_left_for_others_to_judge(broken: Any) -> None:
    assert decided({"1": broken}) == {"1": broken}
