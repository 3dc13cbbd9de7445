"""The worker's side of a lease, in a thread of its own: saying that it lives, and hearing what is asked of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

from limner.engine.errors import StoreError
from limner.server.jobs.errors import LeaseLostError
from limner.server.jobs.job import Claim
from limner.server.jobs.leases import Leases

Reason = Literal["lost", "cancel", "pause", "drain"]
"""Why a run is to stop: its job is another's, its client wants it to, or the worker is to end."""

LISTEN_S: Final = 0.05
"""How soon a wish is heard."""
_log = logging.getLogger("limner.server.jobs")


def _nothing() -> None:
    """Nobody is to be told any more."""


class Pulse:
    """Beats while a job runs. ``reason`` is set, and ``on_stop`` called once, when the run is to stop."""

    def __init__(self, leases: Leases, claim: Claim, drain: threading.Event, on_stop: Callable[[], None]) -> None:
        self.reason: Reason | None = None
        self.stopped_at = 0.0
        """By ``time.monotonic``."""
        self._leases = leases
        self._claim = claim
        self._drain = drain
        self._on_stop = on_stop
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="limner pulse", daemon=True)

    def _beat(self) -> None:
        every_s = self._leases.patience.lease_s / 6
        extended = time.monotonic()
        while not self._is_over.wait(LISTEN_S):
            try:
                if time.monotonic() - extended >= every_s:
                    self._leases.extend(self._claim)
                    extended = time.monotonic()
                if self.reason in (None, "pause", "drain"):
                    self._stop(self._leases.wish(self._claim) or ("drain" if self._drain.is_set() else None))
            except LeaseLostError:
                self._stop("lost")
                return
            except StoreError as error:  # it may come back before the lease is over
                _log.warning("%s", error)
                self._is_over.wait(1.0)

    def _stop(self, reason: Reason | None) -> None:
        """Note why to stop. Who is stopping already may still learn that it is for good."""
        if reason is None or self._is_over.is_set():
            return
        is_first = self.reason is None
        if is_first:
            self.stopped_at = time.monotonic()  # before the reason: who sees that one asks how long ago
        if is_first or reason in ("lost", "cancel"):
            self.reason = reason
        if is_first:
            self._on_stop()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        self._on_stop = _nothing  # it holds what the job gave, which holds this: only a collector would end that
