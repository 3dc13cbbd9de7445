"""What our files call the nodes of a canvas: as they were called before, and what is new after its type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import count

from limner.comfy.names import is_id
from limner.engine.node import snake_case


def own_ids(types: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """For each node, by its id in the prompt, one for a file. ``types`` are our node types; ``said`` what the nodes
    themselves say, which counts where it can be an id. Of two that say the same, the older one keeps it.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(types, key=lambda name: (len(name), name)):  # numbers in their order
        wanted = said.get(name, "")
        if wanted not in taken and is_id(wanted):
            found[name] = wanted
            taken.add(wanted)
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
    for name, node_type in types.items():
        if name not in found:
            plain = snake_case(node_type.removeprefix("Comfy"))
            names = (plain if number == 1 else f"{plain}_{number}" for number in numbers[plain])
            found[name] = next(one for one in names if one not in taken)
            taken.add(found[name])
    return {name: found[name] for name in types}
