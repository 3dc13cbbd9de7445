"""Which model each service had when it was last heard of, so that a node need not ask before and after every run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

FRESH_S: Final = 5.0
"""How long what a service said of itself is believed. A run asks again in any case."""


@dataclass
class KnownModels:
    """The identity of the model behind each URL, while it is fresh."""

    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, url: str) -> str | None:
        """What the service behind a URL had within the last seconds; None where nothing fresh is known."""
        with self._lock:
            identity, heard_at = self._known.get(url, ("", 0.0))
        return identity if identity and self.clock() - heard_at < FRESH_S else None

    def put(self, url: str, identity: str) -> None:
        """Remember what the service has just said, and forget what is no longer believed of any."""
        with self._lock:
            now = self.clock()
            self._known = {other: known for other, known in self._known.items() if now - known[1] < FRESH_S}
            self._known[url] = identity, now
