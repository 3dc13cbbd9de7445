"""Which node of one graph is which of another: by id, then by what it does and what it is wired to."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from limner.engine.document import NodeDocument

MAX_ALIKE = 50
"""What so many nodes have in common tells none of them apart."""

Wires = Mapping[str, list[str]]
Nodes = Mapping[str, NodeDocument]


def match(before: Nodes, after: Nodes) -> dict[str, str]:
    """The id in ``after`` of each node in ``before`` that is there too.

    A node that has kept its id and its type is itself. Of the others, those of one type that have the most in common
    (settings, what they take, who takes from them) are taken for one that was renamed; the best first, because each
    pair is evidence for its neighbours. What is left and has kept its id has another type now.
    """
    pairs = {name: name for name, node in before.items() if name in after and after[name].type == node.type}
    while found := _best_pairs(before, after, pairs):
        pairs |= found
    taken = set(pairs.values())
    return pairs | {name: name for name in before if name not in pairs and name in after and name not in taken}


def _best_pairs(before: Nodes, after: Nodes, pairs: Mapping[str, str]) -> dict[str, str]:
    """The pairs of nodes without a partner that have the most in common; none where nothing speaks for any."""
    alike: defaultdict[Hashable, list[str]] = defaultdict(list)
    names = {new: old for old, new in pairs.items()}
    for name, evidence in _evidence(after, names, set(names)):
        alike[evidence].append(name)
    votes: Counter[tuple[str, str]] = Counter()
    for name, evidence in _evidence(before, {old: old for old in pairs}, set(pairs)):
        others = alike.get(evidence, ())
        if len(others) <= MAX_ALIKE:
            votes.update((name, other) for other in others)
    most = max(votes.values(), default=0)
    found: dict[str, str] = {}
    taken = set[str]()
    for (old, new), count in votes.items():  # in the order of the files, which breaks ties
        if count == most and old not in found and new not in taken:
            found[old] = new
            taken.add(new)
    return found


def _evidence(nodes: Nodes, names: Mapping[str, str], known: set[str]) -> Iterator[tuple[str, Hashable]]:
    """What can be said of each node without a partner; ``names`` are its neighbours' in the first graph."""
    for name, node in nodes.items():
        if name not in known:
            yield name, (node.type, "settings", _as_text(node.settings))
            for setting, value in node.settings.items():
                yield name, (node.type, "setting", setting, _as_text(value))
        for port, wires in node.wires.items():
            for wire in [wires] if isinstance(wires, str) else wires:
                source, _, output = wire.partition(".")
                if name not in known and source in names:
                    yield name, (node.type, "takes", port, names[source], output)
                if source not in known and source in nodes and name in names:
                    yield source, (nodes[source].type, "gives", output, names[name], port)


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
