"""The faults of a graph while they are being found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from limner.engine.errors import Fault, suggest

Place = tuple[str | int, ...]
"""Where in a document: ``("nodes", "denoise", "settings", "steps")``."""


@dataclass
class Findings:
    """Collects faults; a broken node does not hide the faults of the others."""

    faults: list[Fault] = field(default_factory=list)
    hints_left: int = 20
    """Comparing names costs more than everything else in checking, so only the first unknown ones get a hint."""

    def add(self, message: str, path: Place, hint: str | None = None, kind: str = "") -> None:
        """Note one fault."""
        self.faults.append(Fault(message, path, hint, kind))

    def suggest(self, name: str, known: Iterable[str]) -> str | None:
        """The nearest known name, for the first faults."""
        self.hints_left -= 1
        return suggest(name, known) if self.hints_left >= 0 else None

    def in_order(self, ids: Iterable[str]) -> list[Fault]:
        """The faults as their nodes stand in the document; those of the document itself first."""
        order = {node_id: position for position, node_id in enumerate(ids)}
        return sorted(self.faults, key=lambda fault: order.get((fault.node or "").partition("/")[0], -1))
