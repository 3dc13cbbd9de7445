"""Work that takes turns: one piece at a time, in a thread, with few that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class TooManyWaitError(Exception):
    """The queue is full."""


class Turns:
    """A thread that does one piece of work at a time; the event loop goes on meanwhile."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="limner encoder")
        self._count = 0
        self._last: Future[Any] | None = None

    @property
    def waiting(self) -> int:
        """Pieces that wait for their turn."""
        return max(self._count - 1, 0)

    @property
    def is_busy(self) -> bool:
        """Whether there is work that has not ended: a thread cannot be stopped in the middle of it."""
        return self._last is not None and not self._last.done()

    async def take(self, work: Callable[[], T]) -> T:
        """What ``work`` gives. Cancelled while it waits, it never begins. Raises TooManyWaitError, at once."""
        if self._count > self._limit:
            raise TooManyWaitError
        self._count += 1
        loop = asyncio.get_running_loop()

        def leave(future: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody counts any more
                loop.call_soon_threadsafe(self._leave)

        self._last = future = self._thread.submit(work)
        future.add_done_callback(leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more work."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        self._count -= 1
