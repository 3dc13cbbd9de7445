"""What the service counts, in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from limner.server.prometheus import Histogram, head, single

BOUNDS_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_SECONDS: Final = "limner_encoder_encode_seconds"
_WHAT: Final = "Seconds from a request to its answer, waiting included."


@dataclass
class Metrics:
    """Counters of one service. Used on the event loop only."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By route and status."""
    prompts: int = 0
    answer_bytes: int = 0
    _seconds: Histogram = field(default_factory=lambda: Histogram(_SECONDS, _WHAT, BOUNDS_S))

    def encoded(self, prompts: int, size_bytes: int, seconds: float) -> None:
        """Count an answer that was encoded, and how long it took from the request to here."""
        self.prompts += prompts
        self.answer_bytes += size_bytes
        self._seconds.add(seconds)

    def text(self, *, waiting: int, model: str | None) -> str:
        """The page; ``model`` is the identity, None while it loads."""
        lines = [*_head("requests_total", "counter", "Requests by route and status.")]
        for (route, status), count in sorted(self.requests.items()):
            lines.append(f'limner_encoder_requests_total{{route="{route}",status="{status}"}} {count}')
        lines += _single("prompts_total", "counter", "Prompts that were encoded.", self.prompts)
        lines += _single("answer_bytes_total", "counter", "Bytes of embeddings that were sent.", self.answer_bytes)
        lines += _single("queue_requests", "gauge", "Requests that wait for their turn.", waiting)
        lines += _single("ready", "gauge", "Whether the model is loaded.", int(model is not None))
        if model is not None:
            lines += _head("model_info", "gauge", "The model, by its identity.")
            lines.append(f'limner_encoder_model_info{{model="{model}"}} 1')
        return "\n".join([*lines, *self._seconds.lines(), ""])


def _head(name: str, kind: str, what: str) -> list[str]:
    return head(f"limner_encoder_{name}", kind, what)


def _single(name: str, kind: str, what: str, value: int) -> list[str]:
    return single(f"limner_encoder_{name}", kind, what, value)
