"""Making a picture again from what its file says, and proving that it is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.engine.context import Provenance
from limner.engine.document import Document, parse, read_json
from limner.engine.errors import GraphError, InputError
from limner.engine.node import Node
from limner.engine.plan import Plan


@dataclass(frozen=True, slots=True)
class Comparison:
    """A picture beside those that its graph made again."""

    same_as: Path | None
    """The new picture with the same pixels; None where there is none."""
    largest_difference: int | None
    """Of the nearest new picture, in steps of 0..255; None where none has the same size."""


def graph_inside(image: Path) -> tuple[Document, Provenance]:
    """The graph that an image file carries. Raises InputError where there is none, GraphError where it is wrong."""
    from limner.nodes.provenance import read_provenance

    if not image.is_file():
        raise InputError(f"no such file: {image}")
    provenance = read_provenance(image)
    document, faults = parse(read_json(provenance.graph))
    if document is None or faults:
        raise GraphError(faults)
    return document, provenance


def compare(image: Path, again: Sequence[Path]) -> Comparison:
    """Compare the pixels of an image with those of others, metadata aside."""
    import numpy as np
    import PIL.Image

    def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        with PIL.Image.open(path) as opened:
            return np.asarray(opened.convert("RGB"), dtype=np.int16)

    wanted = pixels(image)
    nearest: int | None = None
    for path in again:
        found = pixels(path)
        if found.shape != wanted.shape:
            continue
        difference = int(np.abs(found - wanted).max())
        if difference == 0:
            return Comparison(path, 0)
        nearest = difference if nearest is None else min(nearest, difference)
    return Comparison(None, nearest)


def changed_files(then: Provenance, plan: Plan, keys: Sequence[str]) -> list[str]:
    """The nodes that name files or weights which have changed since a picture was made, by their cache keys.

    The graph is the picture's own, so nothing else can have changed the key of a node that reads files.
    """
    return [
        step.node.id
        for step, key in zip(plan.steps, keys, strict=True)
        if step.node.type.cls.fingerprint is not Node.fingerprint and then.keys.get(step.node.id, key) != key
    ]


def changed_devices(then: Provenance, plan: Plan) -> list[str]:
    """Where nodes run that ran elsewhere when a picture was made: ``denoise: cuda:0 -> cpu``."""
    ran = ((step.node.id, then.devices.get(step.node.id, step.lane), step.lane) for step in plan.steps)
    return [f"{node}: {before} -> {now}" for node, before, now in ran if before != now]


def changed_software(then: Provenance, now: dict[str, str]) -> list[str]:
    """What differs between the packages that made a picture and those of today: ``torch 2.12.0 -> 2.13.0``."""
    return [f"{name} {old} -> {now.get(name, 'absent')}" for name, old in then.software.items() if now.get(name) != old]
