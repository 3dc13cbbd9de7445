"""Drawing several seeds of a sweep at once: which go together, and the graph that picks one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from limner.engine.document import Document, NodeDocument
from limner.engine.errors import Fault, GraphError
from limner.engine.sweep import Axis

DENOISE: Final = "Denoise"
_HINT: Final = "sweep a seed that a Denoise node has as its own setting"


@dataclass(frozen=True, slots=True)
class SeedBatch:
    """A seed among those that are drawn with it, which follow each other."""

    first: int
    count: int
    number: int
    """Which of them, counted from 1."""


def seed_axis(document: Document, axes: Iterable[Axis]) -> tuple[Axis, list[str]]:
    """The axis of seeds, and the Denoise nodes that take them. Raises GraphError where none can be drawn at once."""
    for axis in axes:
        targets = [target.partition(".") for target in axis.targets(document)]
        nodes = [node for node, _, setting in targets if setting == "seed" and _type_of(document, node) == DENOISE]
        if len(nodes) != len(targets):
            continue
        if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in axis.values):
            break  # checking says which of them is none
        for node in nodes:
            if document.nodes[node].settings.get("batch", 1) != 1 or "batch" in document.nodes[node].wires:
                message = f"--batch: {node} draws a batch of its own"
                raise GraphError([Fault(message, ("nodes", node, "settings", "batch"), "leave one of them out")])
        return axis, nodes
    raise GraphError([Fault("--batch: no seed of a Denoise node is swept", hint=_HINT)])


def _type_of(document: Document, node: str) -> str | None:
    return document.nodes[node].type if node in document.nodes else None


def batches(seeds: Sequence[int], at_once: int) -> dict[int, SeedBatch]:
    """For each seed, those that are drawn with it: at most so many, each one more than the last.

    >>> batches([1, 2, 3, 9], 2)[2]
    SeedBatch(first=1, count=2, number=2)
    """
    groups: list[list[int]] = []
    for seed in sorted(seeds):
        if groups and seed == groups[-1][-1] + 1 and len(groups[-1]) < at_once:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    return {
        seed: SeedBatch(group[0], len(group), number) for group in groups for number, seed in enumerate(group, start=1)
    }


def drawn_at_once(document: Document, nodes: Iterable[str], batch: SeedBatch) -> Document:
    """The document where each of the Denoise nodes draws all seeds of a batch, and the others take one of its pictures.

    A batch of one is left as it is.
    """
    if batch.count == 1:
        return document
    picks = {node: _free(f"{node}_pick", document.nodes) for node in nodes}
    changed = {name: _rewired(node, picks) for name, node in document.nodes.items()}
    for node, pick in picks.items():
        drawn = {"seed": batch.first, "batch": batch.count}
        changed[node] = changed[node].model_copy(update={"settings": changed[node].settings | drawn})
        changed[pick] = NodeDocument(type="PickLatent", settings={"number": batch.number}, wires={"latent": node})
    outputs = {name: _moved(wire, picks) for name, wire in document.outputs.items()}
    return document.model_copy(update={"nodes": changed, "outputs": outputs})


def _rewired(node: NodeDocument, picks: Mapping[str, str]) -> NodeDocument:
    wires = {
        port: _moved(wire, picks) if isinstance(wire, str) else [_moved(one, picks) for one in wire]
        for port, wire in node.wires.items()
    }
    return node.model_copy(update={"wires": wires})


def _moved(wire: str, picks: Mapping[str, str]) -> str:
    return picks.get(wire.partition(".")[0], wire)


def _free(name: str, taken: Iterable[str]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to ``most`` that fits, where what is larger than one that does not fit does not either.

    At least 1, of which nobody asks.
    """
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
