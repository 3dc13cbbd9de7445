"""What the server counts, in Prometheus' text format."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from limner.server.jobs.job import FINAL
from limner.server.prometheus import head, single

STATES: Final = ("pending", "in_progress", *FINAL)


@dataclass
class Metrics:
    """Counters of one server. Used on the event loop only."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By method, route and status."""
    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """By method and route, all that requests took."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests[method, route, status] += 1
        self.seconds[method, route] += seconds

    def text(self, jobs: Mapping[str, int], *, followers: int, is_paused: bool) -> str:
        """The page. ``jobs`` says how many there are in each state."""
        lines = head("limner_requests_total", "counter", "Requests by method, route and status.")
        for (method, route, status), count in sorted(self.requests.items()):
            lines.append(f'limner_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}')
        lines += head("limner_request_seconds_total", "counter", "Seconds that requests took.")
        for (method, route), seconds in sorted(self.seconds.items()):
            lines.append(f'limner_request_seconds_total{{method="{method}",route="{route}"}} {seconds:.6f}')
        lines += head("limner_jobs", "gauge", "Jobs by state.")
        lines += [f'limner_jobs{{state="{state}"}} {jobs.get(state, 0)}' for state in STATES]
        lines += single("limner_queue_paused", "gauge", "Whether no job may begin.", int(is_paused))
        lines += single("limner_followers", "gauge", "Connections that follow events.", followers)
        return "\n".join([*lines, ""])
