"""What the server counts, in Prometheus' text format."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.server.jobs.history import Standing
from limner.server.jobs.job import FINAL
from limner.server.prometheus import Histogram, family, single

STATES: Final = ("pending", "in_progress", *FINAL)
WAITS_S: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)


def _waits() -> Histogram:
    what = "Seconds from handing a job in to its first beginning."
    return Histogram("limner_queue_wait_seconds", what, WAITS_S)


@dataclass
class Metrics:
    """Counters of one server and of its workers. Used on the event loop only."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By method, route and status."""
    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """By method and route, all that requests took."""
    worker_deaths: int = 0
    _waits: Histogram = field(default_factory=_waits)
    _attempts: Counter[str] = field(default_factory=Counter)
    _told: defaultdict[str, defaultdict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    """Of workers, by what is counted, and by node type or device."""
    _cache_hits: int = 0

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests[method, route, status] += 1
        self.seconds[method, route] += seconds

    def attempted(self, tally: Mapping[str, Any]) -> None:
        """Count what a worker did at a job, as its ``Tally`` says."""
        self._attempts[tally["end"]] += 1
        if tally["waited_s"] is not None:
            self._waits.add(tally["waited_s"])
        self._cache_hits += tally["cache_hits"]
        for name in _BY_LABEL:
            for label, count in tally[name].items():
                self._told[name][label] += count

    def text(
        self,
        standing: Standing,
        models: Iterable[Mapping[str, Any]],
        *,
        now: float,
        followers: int,
        dropped_previews: int,
    ) -> str:
        """The page. ``models`` are those that are alive in the workers, ``now`` is the time of ``standing``."""
        lines = [*self._of_requests(), *_of_queue(standing, now), *self._waits.lines()]
        what = "Attempts at jobs that the workers of this server made, by what came of them."
        attempts = [({"end": end}, count) for end, count in sorted(self._attempts.items())]
        lines += family("limner_job_attempts_total", "counter", what, attempts)
        for name, (metric, label, what) in _BY_LABEL.items():
            samples = [({label: said}, count) for said, count in sorted(self._told[name].items())]
            lines += family(metric, "counter", what, samples)
        lines += single("limner_cache_hits_total", "counter", "Nodes found in the cache.", self._cache_hits)
        lines += single("limner_worker_deaths_total", "counter", "Workers that ended unasked.", self.worker_deaths)
        lines += _of_models(list(models))
        lines += single("limner_followers", "gauge", "Connections that follow events.", followers)
        what = "Previews replaced by a later one before a client took them."
        lines += single("limner_previews_dropped_total", "counter", what, dropped_previews)
        return "\n".join([*lines, ""])

    def _of_requests(self) -> list[str]:
        counts = [
            ({"method": method, "route": route, "status": status}, count)
            for (method, route, status), count in sorted(self.requests.items())
        ]
        seconds = [
            ({"method": method, "route": route}, taken) for (method, route), taken in sorted(self.seconds.items())
        ]
        return [
            *family("limner_requests_total", "counter", "Requests by method, route and status.", counts),
            *family("limner_request_seconds_total", "counter", "Seconds that requests took.", seconds),
        ]


_BY_LABEL: Final = {
    "node_runs": ("limner_node_runs_total", "type", "Nodes that ran to their end, by type."),
    "node_failures": ("limner_node_failures_total", "type", "Nodes that failed, by type."),
    "node_seconds": ("limner_node_seconds_total", "type", "Seconds that nodes ran, by type."),
    "model_loads": ("limner_model_loads_total", "device", "Models that were loaded, by device."),
    "model_load_seconds": ("limner_model_load_seconds_total", "device", "Seconds that loading took."),
}
"""What a tally has by node type or device: the metric, its label, and what it is."""


def _of_queue(standing: Standing, now: float) -> list[str]:
    oldest_s = 0.0 if standing.oldest is None else max(now - standing.oldest, 0.0)
    by_state: list[tuple[Mapping[str, object], float]] = [
        ({"state": state}, standing.jobs.get(state, 0)) for state in STATES
    ]
    return [
        *family("limner_jobs", "gauge", "Jobs in the store by state.", by_state),
        *single("limner_queue_paused", "gauge", "Whether no job may begin.", int(standing.is_paused)),
        *single("limner_queue_oldest_seconds", "gauge", "How long the job that waits longest does.", oldest_s),
    ]


def _of_models(models: list[Mapping[str, Any]]) -> list[str]:
    """Sums by device: workers come and go, and their names are no labels."""
    used: Counter[str] = Counter()
    for model in models:
        used[model["device"]] += model["size_bytes"]
    budgets = {model["device"]: model["budget_bytes"] for model in models if model["budget_bytes"] is not None}
    return [
        *family(
            "limner_model_memory_bytes",
            "gauge",
            "What the models that are alive take, by device, as told after the last job.",
            [({"device": device}, count) for device, count in sorted(used.items())],
        ),
        *family(
            "limner_model_memory_budget_bytes",
            "gauge",
            "What all models of a worker may take.",
            [({"device": device}, count) for device, count in sorted(budgets.items())],
        ),
    ]
