"""What would make a graph fit: small changes to its document, found by planning each of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from limner.engine.checked import CheckedNode
from limner.engine.choose_offload import ladder
from limner.engine.document import Document, NodeDocument
from limner.engine.errors import Fault, GraphError
from limner.engine.flat import flat_document, flat_ids
from limner.engine.forecast import Seen, forecasts
from limner.engine.memory_plan import MemoryPlan
from limner.engine.models import ModelSpec
from limner.engine.offload import Offload
from limner.engine.placement import RAM
from limner.engine.plan import Plan

MOST: Final = 4
"""Remedies that are shown."""
MOST_TRIED: Final = 200
MOST_NODES: Final = 3
"""Nodes that one remedy changes, at most."""
DISK: Final = "offload"
"""The folder that is proposed for groups that wait on disk."""
Replan = Callable[[Document], Plan]
"""The plan of a changed document. Raises GraphError where it is wrong."""


@dataclass(frozen=True)
class Edit:
    """One place of a document and what to write there."""

    path: tuple[str, ...]
    value: Any
    """As JSON holds it."""

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} = {json.dumps(self.value, ensure_ascii=False)}"


@dataclass(frozen=True)
class Remedy:
    """Changes that together make a graph fit."""

    edits: tuple[Edit, ...]
    document: Document
    memory: MemoryPlan

    def __str__(self) -> str:
        return "; ".join(map(str, self.edits))

    @property
    def in_words(self) -> str:
        """For those who see no file: ``Quantize (method nf4) before denoise, encode on cpu``."""
        said: list[str] = []
        for edit in self.edits:
            match edit.path:
                case (_, _):
                    settings = ", ".join(f"{name} {value}" for name, value in edit.value.get("settings", {}).items())
                    said.append(f"{edit.value['type']} ({settings})" if settings else edit.value["type"])
                case (_, node, "wires", _):
                    said[-1] += f" before {node}"
                case (_, node, "offload"):
                    said.append(f"offload {Offload.model_validate(edit.value)} for {node}")
                case (_, node, _):
                    said.append(f"{node} on {edit.value}")
        return ", ".join(said)


def find_remedies(plan: Plan, replan: Replan) -> list[Remedy]:
    """The smallest changes that make a plan fit, the fastest first; none where it fits, or where nothing found helps.

    Changes of one node are tried first, then of two, then of three: other policies, fewer bits, the processor.
    """
    if plan.memory is None or plan.memory.fits:
        return []
    document = flat_document(plan.graph)
    changes = _changes(plan, plan.memory)
    for count in range(1, min(MOST_NODES, len(changes)) + 1):
        found: dict[str, Remedy] = {}
        tries = (
            tuple(itertools.chain.from_iterable(chosen))
            for nodes in itertools.combinations(changes, count)
            for chosen in itertools.product(*nodes)
        )
        for edits in itertools.islice(tries, MOST_TRIED):
            remedy = _tried(document, edits, replan)
            if remedy is not None:
                found[str(remedy)] = remedy
        if found:
            return sorted(found.values(), key=lambda remedy: remedy.memory.load_s)[:MOST]
    return []


def memory_faults(plan: Plan, remedies: Sequence[Remedy]) -> list[Fault]:
    """A fault for each step of a plan that does not fit; the hint is what would."""
    if plan.memory is None:
        return []
    hint = f"it fits with {remedies[0].in_words}" if remedies else "take a smaller model or picture, or another device"
    return [
        Fault(f"memory: {overflow}", ("nodes", overflow.node), hint if index == 0 else None)
        for index, overflow in enumerate(plan.memory.overflows)
    ]


def applied(document: Document, edits: Sequence[Edit]) -> Document:
    """The document with edits made. Raises GraphError where that is no graph."""
    raw = document.model_dump(mode="json", exclude_defaults=True)
    for edit in edits:
        place = raw
        for part in edit.path[:-1]:
            place = place.setdefault(part, {})
        place[edit.path[-1]] = edit.value
    return Document.model_validate(raw)


def _tried(document: Document, edits: tuple[Edit, ...], replan: Replan) -> Remedy | None:
    changed = applied(document, edits)
    try:
        memory = replan(changed).memory
    except GraphError:  # what a device cannot do, or a model does not allow
        return None
    return Remedy(edits, changed, memory) if memory is not None and memory.fits else None


def _changes(plan: Plan, memory: MemoryPlan) -> list[list[tuple[Edit, ...]]]:
    """For each node that is in the way: what may be done about it."""
    seen, ids = forecasts(plan), flat_ids(plan.graph)
    found = []
    for index in _in_the_way(memory):
        step = plan.steps[index]
        name = ids[step.node.id]
        changes = [*_policies(name, plan, index), *_smaller(name, ids, plan, seen, index)]
        if step.device != RAM:
            changes.append((Edit(("nodes", name, "device"), RAM),))
        found.append(changes)
    return found


def _in_the_way(memory: MemoryPlan) -> list[int]:
    """The steps that do not fit; where RAM does not suffice, also those whose models are in it then."""
    index = {step.node: i for i, step in enumerate(memory.steps)}
    found = dict.fromkeys(index[overflow.node] for overflow in memory.overflows)
    for overflow in memory.overflows:
        if overflow.device == RAM:
            there = memory.steps[index[overflow.node]].resident.get(RAM, {})
            users = [
                i
                for i, step in enumerate(memory.steps[: index[overflow.node] + 1])
                if any(model.name in there for model in step.models)
            ]
            found.update(dict.fromkeys(users))
    return list(found)


def _policies(name: str, plan: Plan, index: int) -> Iterator[tuple[Edit, ...]]:
    """Ways of waiting that the node does not have yet."""
    step = plan.steps[index]
    for policy in ladder(step, DISK):
        if policy != step.offload:
            yield (Edit(("nodes", name, "offload"), policy.model_dump(mode="json", exclude_defaults=True)),)


def _smaller(
    name: str, ids: dict[str, str], plan: Plan, seen: Sequence[Seen], index: int
) -> Iterator[tuple[Edit, ...]]:
    """Nodes to put before it, which make its models smaller."""
    step = plan.steps[index]
    for wire in step.node.wires:
        if wire.is_many:
            continue
        source, output = wire.sources[0]
        forecast = seen[source].forecast
        spec = forecast.outputs[output] if forecast is not None and output < len(forecast.outputs) else None
        for smaller in spec.smaller if isinstance(spec, ModelSpec) else ():
            new = _free(f"{name}_{smaller.label}", ids)
            drawn = NodeDocument(
                type=smaller.type,
                settings=dict(smaller.settings),
                wires={smaller.port: _written(plan.graph.nodes[source], output, ids)},
            )
            yield (
                Edit(("nodes", new), drawn.model_dump(mode="json", exclude_defaults=True)),
                Edit(("nodes", name, "wires", wire.port), new),
            )


def _free(wanted: str, ids: dict[str, str]) -> str:
    taken = set(ids.values())
    names = itertools.chain([wanted], (f"{wanted}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _written(source: CheckedNode, output: int, ids: dict[str, str]) -> str:
    outputs = source.type.outputs
    return ids[source.id] if len(outputs) == 1 else f"{ids[source.id]}.{outputs[output].name}"
