"""Whether jobs can be taken in and kept: found out by writing, not by hoping."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from limner.engine.errors import StoreError
from limner.server.jobs.store import JobStore

FRESH_S: Final = 2.0
"""How long what was found holds: whoever asks more often is given the same."""
REST_S: Final = 30.0
"""How often it is found out where nobody asks, for the log."""
_log = logging.getLogger("limner.server")


class Readiness:
    """What a load balancer asks. Used on the event loop; ``aside`` runs what blocks in a thread."""

    def __init__(self, store: JobStore, aside: Callable[[Callable[[], object]], Awaitable[object]]) -> None:
        self._store = store
        self._aside = aside
        self._looking: asyncio.Task[bool] | None = None
        self._until = 0.0
        self._fault = ""

    async def is_ready(self) -> bool:
        """Whether jobs can be kept. All who ask at a time wait for the same look."""
        if self._looking is None or (self._looking.done() and time.monotonic() >= self._until):
            self._looking = asyncio.ensure_future(self._look())
        return await asyncio.shield(self._looking)

    async def run(self) -> None:
        """Have the log say what is wrong, also where nobody asks."""
        while True:
            await self.is_ready()
            await asyncio.sleep(REST_S)

    async def _look(self) -> bool:
        """Look, and say in the log what has changed."""
        before, self._fault = self._fault, ""
        try:
            await self._aside(self._store.probe)
        except StoreError as error:
            self._fault = str(error)
        if self._fault and self._fault != before:
            _log.error("no job can be taken in: %s", self._fault)
        elif before and not self._fault:
            _log.info("jobs can be taken in again")
        self._until = time.monotonic() + FRESH_S
        return not self._fault
