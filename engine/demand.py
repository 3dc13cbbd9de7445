"""What a run must do: the nodes that its goals need and the cache does not have, each work once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limner.engine.cache import Cache
from limner.engine.plan import Plan


def find_todo(plan: Plan, keys: Sequence[str], cache: Cache) -> tuple[bytearray, list[tuple[Any, ...] | None]]:
    """Which nodes must run (1 or 0 for each), and the outputs of those that are known.

    From the goals backwards: what only a known node needs is not even looked up. O(nodes + wires).
    """
    steps = plan.steps
    wanted, todo = bytearray(len(steps)), bytearray(len(steps))
    values: list[tuple[Any, ...] | None] = [None] * len(steps)
    for goal in plan.goals:
        wanted[goal] = 1
    for index in range(len(steps) - 1, -1, -1):
        if not wanted[index]:
            continue
        node_type = steps[index].node.type
        if not node_type.cls.effect:
            values[index] = cache.get(keys[index], node_type)
        if values[index] is None:
            todo[index] = 1
            for source in steps[index].needs:
                wanted[source] = 1
    return todo, values


def find_leaders(plan: Plan, keys: Sequence[str], todo: bytearray) -> dict[int, int]:
    """For each node that would compute what an earlier one does, that one: it waits and takes its outputs."""
    if len(set(keys)) == len(keys):
        return {}
    first: dict[str, int] = {}
    leaders = {}
    for index, key in enumerate(keys):
        if todo[index] and not plan.steps[index].node.type.cls.effect:
            leader = first.setdefault(key, index)
            if leader != index:
                leaders[index] = leader
    return leaders
