"""What a run gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from limner.engine.errors import Cancelled, NodeFailed
from limner.engine.events import Status

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    status: Status
    outputs: Mapping[str, Mapping[str, Any]]
    """By node id and port: the outputs of the nodes that the run was for."""
    failures: Mapping[str, NodeFailed] = field(default_factory=dict)
    seconds: float = 0.0

    def values(self, kind: type[T]) -> list[T]:
        """Every output of a class, in the order of the graph."""
        return [value for ports in self.outputs.values() for value in ports.values() if isinstance(value, kind)]

    def raise_for_failures(self) -> None:
        """Raise the first failure, or Cancelled; the other failures are in its notes."""
        if self.failures:
            first, *others = self.failures.values()
            for other in others:
                first.add_note(f"also: {other.message}")
            raise first
        if self.status == "cancelled":
            raise Cancelled
