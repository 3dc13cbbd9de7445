"""What a worker counts while it runs a job, told to its server once the job is out of its hands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Literal

from limner.engine import events as ev

End = Literal["completed", "failed", "cancelled", "given back", "lost"]
"""What became of an attempt at a job."""


class Tally:
    """Counts the events of one run."""

    def __init__(self, waited_s: float | None) -> None:
        self.end: End = "lost"
        self._waited_s = waited_s
        """How long the job had waited before it began; None where it was begun before."""
        self._types: dict[str, str] = {}
        """Of nodes that run."""
        self._runs: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._hits = 0
        self._loads: Counter[str] = Counter()
        self._load_seconds: defaultdict[str, float] = defaultdict(float)

    def note(self, event: ev.Event) -> None:
        """Count an event."""
        match event:
            case ev.NodeStarted(node=node, type=kind):
                self._types[node] = kind
            case ev.NodeFinished(node=node, seconds=seconds):
                kind = self._types.pop(node)
                self._runs[kind] += 1
                self._seconds[kind] += seconds
            case ev.NodeFailed(node=node):
                self._failures[self._types.pop(node, "other")] += 1
            case ev.NodeCached():
                self._hits += 1
            case ev.ModelLoaded(device=device, seconds=seconds):
                self._loads[device] += 1
                self._load_seconds[device] += seconds

    def as_data(self) -> Mapping[str, Any]:
        """The counts as JSON can hold them."""
        return {
            "end": self.end,
            "waited_s": self._waited_s,
            "node_runs": self._runs,
            "node_failures": self._failures,
            "node_seconds": self._seconds,
            "cache_hits": self._hits,
            "model_loads": self._loads,
            "model_load_seconds": self._load_seconds,
        }
