"""The graphs of a sweep: one graph with other values each time, whose files are called after them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from limner.engine.checked import CheckedGraph
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.flat import flat_document
from limner.engine.parameters import with_values
from limner.engine.plan import Plan
from limner.engine.registry import Registry
from limner.engine.remedies import memory_faults
from limner.engine.sweep import MAX_VARIANTS, Axis, file_names, label, short, variants
from limner.output_file import writing_faults
from limner.seed_batches import SeedBatch, batches, drawn_at_once, largest, seed_axis
from limner.session import Session

AtOnce = int | Literal["auto"]
"""How many seeds are drawn at once; ``auto`` are as many as fit."""
MOST_AT_ONCE: Final = 64
"""What ``Denoise.batch`` takes."""


class Variants:
    """What a sweep runs, by number from 0: the product of the axes, the last one varying fastest."""

    def __init__(
        self,
        session: Session,
        document: Document,
        axes: Sequence[Axis],
        *,
        beside: str | Path | None = None,
    ) -> None:
        self.document = document
        self.axes = axes
        self.values = list(variants(axes))
        self._session = session
        self._beside = beside
        self._names = file_names(axes, _own_paths(document, axes, session.registry))
        self._batches: dict[int, SeedBatch] = {}
        self._seeds, self._denoisers = "", list[str]()

    def __len__(self) -> int:
        return len(self.values)

    def check(self) -> None:
        """Raise GraphError with what is wrong in any variant; looks for no device."""
        self._raise_faults(self._faults_of)

    def place(self, at_once: AtOnce = 1) -> None:
        """Decide how many seeds are drawn at once. Raises GraphError for what cannot run or does not fit here."""
        if at_once != 1:
            self._draw_at_once(at_once)
        self._raise_faults(self._overflows_of)

    def checked(self, number: int) -> CheckedGraph:
        """The graph of a variant, without Graph nodes, so that its picture says all of it. Raises GraphError."""
        checked = self._check(with_values(self.document, self.values[number]))
        document = self._with_batch(flat_document(checked), number)
        named = _saving_as(document, self._names[number], self._session.registry)
        return checked if named == checked.document else self._check(named)

    def plan(self, number: int) -> Plan:
        """The same with its nodes placed. Raises GraphError."""
        return self._session.place(self.checked(number))

    def order(self) -> list[int]:
        """The order to run in: what stands early in the graph varies slowest, so that models change least often."""
        slowest = sorted(range(len(self.axes)), key=self._depth)
        steps = list(itertools.product(*(range(len(axis.values)) for axis in self.axes)))
        return sorted(range(len(self)), key=lambda number: [steps[number][axis] for axis in slowest])

    def _depth(self, position: int) -> int:
        """Where in the order of the graph's nodes the first stands that an axis changes."""
        axis = self.axes[position]
        first, other = (
            self._check(with_values(self.document, self.values[0] | {axis.name: value})).nodes
            for value in (axis.values[0], axis.values[-1])
        )
        pairs = enumerate(zip(first, other, strict=False))
        return next((place for place, (one, another) in pairs if one.settings != another.settings), len(first))

    def _check(self, document: Document) -> CheckedGraph:
        return self._session.check(document, beside=self._beside)

    def _with_batch(self, document: Document, number: int) -> Document:
        if not self._batches:
            return document
        return drawn_at_once(document, self._denoisers, self._batches[self.values[number][self._seeds]])

    def _draw_at_once(self, at_once: AtOnce) -> None:
        axis, self._denoisers = seed_axis(self.document, self.axes)
        self._seeds = axis.name
        if at_once == "auto":
            longest = max(batch.count for batch in batches(axis.values, MOST_AT_ONCE).values())
            others = [n for n, values in enumerate(self.values) if values[axis.name] is axis.values[0]]
            at_once = largest(longest, lambda count: all(self._fits(number, axis, count) for number in others))
        self._batches = batches(axis.values, at_once)

    def _fits(self, number: int, axis: Axis, count: int) -> bool:
        """Whether so many seeds at once fit where one does, and need nothing offloaded that one does not."""
        alone = self.plan(number)
        self._batches = dict.fromkeys(axis.values, SeedBatch(axis.values[0], count, 1))
        together = self.plan(number)
        self._batches = {}
        policies = {step.node.id: step.offload for step in alone.steps}
        is_as_before = all(policies.get(step.node.id, step.offload) == step.offload for step in together.steps)
        return is_as_before and (together.memory is None or together.memory.fits)

    def _raise_faults(self, faults_of: Callable[[int], Iterable[Fault]]) -> None:
        """Raise GraphError with each fault once, with the values or the variant that have it."""
        found: dict[Fault, list[int]] = {}
        looked_at = self._looked_at()
        for number in looked_at:
            for fault in faults_of(number):
                found.setdefault(fault, []).append(number)
        if found:
            raise GraphError(self._said(fault, numbers, len(looked_at)) for fault, numbers in found.items())

    def _said(self, fault: Fault, numbers: Sequence[int], count: int) -> Fault:
        """A fault of some of so many variants."""
        axis = self._axis_of(fault)
        if axis:
            values = list(dict.fromkeys(short(self.values[number][axis]) for number in numbers))
            more = f" and {len(values) - 3} more" if len(values) > 4 else ""
            shown = ", ".join(values[:3] if more else values)
            message = f"{axis}={shown}{more}: {fault.message.removeprefix(f'{fault.path[3]}: ')}"
        elif len(numbers) < count:
            message = f"{fault.message} (with {label(self.values[numbers[0]])})"
        else:
            return fault
        return Fault(message, fault.path, fault.hint)

    def _looked_at(self) -> Sequence[int]:
        """All variants; of very many, each value once, beside the first values of the other axes."""
        if len(self) <= MAX_VARIANTS:
            return range(len(self))
        first = self.values[0]
        return [n for n, values in enumerate(self.values) if sum(values[k] is not first[k] for k in first) <= 1]

    def _faults_of(self, number: int) -> Iterable[Fault]:
        try:
            return writing_faults(self.checked(number))
        except GraphError as error:
            return error.faults

    def _overflows_of(self, number: int) -> Iterable[Fault]:
        try:
            plan = self.plan(number)
        except GraphError as error:
            return error.faults
        if self._session.force or plan.memory is None or plan.memory.fits:
            return ()
        return memory_faults(plan, self._session.remedies_of(plan) if number == 0 else ())

    def _axis_of(self, fault: Fault) -> str:
        """The axis that sets what a fault is in; empty where none does."""
        for axis in self.axes:
            for target in axis.targets(self.document):
                node, _, setting = target.partition(".")
                if fault.path[:4] == ("nodes", node, "settings", setting):
                    return axis.name
        return ""


def _saving_as(document: Document, name: str, registry: Registry) -> Document:
    """The document whose files have ``-name`` before their ending."""
    paths = {}
    for target, path in _paths(document, registry).items():
        old = Path(path)
        if name and old.name:
            paths[target] = str(old.with_name(f"{old.stem}-{name}{old.suffix}"))
    return with_values(document, paths) if paths else document


def _paths(document: Document, registry: Registry) -> dict[str, str]:
    """Where the nodes that write files write them, by setting."""
    found = {}
    for node_id, node in document.nodes.items():
        node_type = registry.get(node.type)
        if node_type is None or not node_type.cls.effect or "path" not in node_type.settings:
            continue
        default = node_type.settings_schema["properties"]["path"].get("default")
        path = node.settings.get("path", default)
        if isinstance(path, str):
            found[f"{node_id}.path"] = path
    return found


def _own_paths(document: Document, axes: Sequence[Axis], registry: Registry) -> set[str]:
    """The axes that say themselves where files go."""
    paths = _paths(document, registry)
    return {axis.name for axis in axes if any(target in paths for target in axis.targets(document))}
