"""Where nodes run: one lane a device, so that a device does one thing at a time, and a shared one for the host."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from limner.engine.errors import Cancelled


class Work(Protocol):
    """A run, as a lane sees it."""

    def execute(self, index: int) -> Iterable[tuple[str, int]]:
        """Run one node; give the nodes that became ready, each with its lane."""
        ...


class Item(NamedTuple):
    """One node of one run."""

    work: Work
    node: int


KEEPING = "keeping"
"""The lane where what async nodes gave is kept and handed on: their loop must not wait for a disk."""

GROW_AFTER_S = 0.005
"""A queue that nobody took from for this long gets another worker, if the lane may have one."""

IDLE_S = 10.0
"""A worker with nothing to do for this long ends; the next item starts a new one."""


class Lane:
    """A queue with worker threads, started when there is work.

    The newest item is taken first: a chain goes to its end before the next one begins, so that few values are alive.
    A lane with several workers starts as one. Trivial nodes are thus never fought over; a node that blocks is noticed
    after a few milliseconds, and others then run beside it.
    """

    def __init__(self, name: str, workers: int, hand_over: Callable[[str, list[Item]], None]) -> None:
        self.name = name
        self._limit = workers
        self._hand_over = hand_over
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._has_items = threading.Event()
        self._workers = 0
        self._idle = 0
        self._taken = 0
        self._is_closed = False
        self._is_watched = False

    def push(self, items: list[Item]) -> None:
        """Queue items and make sure that somebody takes them."""
        with self._changed:
            self._items.extend(reversed(items))
            if self._workers == self._idle:
                self._add_hand()
            self._has_items.set()
            if self._limit > 1 and not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name=f"limner {self.name} watch", daemon=True).start()

    def close(self) -> None:
        """Let the workers end once nothing is queued, instead of waiting for more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._has_items.set()

    def _add_hand(self) -> None:
        """Wake a worker, or start one. The lock is held."""
        if self._idle:
            self._changed.notify()
        elif self._workers < self._limit:
            self._workers += 1
            threading.Thread(target=self._work, name=f"limner {self.name}", daemon=True).start()

    def _work(self) -> None:
        item: Item | None = None
        while (item := item or self._take()) is not None:
            self._taken += 1
            item = self._execute(item)  # an idle worker thus holds nothing of the run that it worked for

    def _execute(self, item: Item) -> Item | None:
        """Run a node; hand over what became ready, but for one that this worker goes on with."""
        mine: Item | None = None
        others: dict[str, list[Item]] = {}
        for lane, index in item.work.execute(item.node):
            if mine is None and lane == self.name:
                mine = Item(item.work, index)
            else:
                others.setdefault(lane, []).append(Item(item.work, index))
        for lane, items in others.items():
            self._hand_over(lane, items)
        return mine

    def _take(self) -> Item | None:
        """The newest item; None for a worker that should end."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._items or self._is_closed, IDLE_S)
            self._idle -= 1
            if self._items:
                return self._items.pop()
            self._workers -= 1
            return None

    def _watch(self) -> None:
        """Add a worker whenever items wait and those that there are seem stuck in blocking nodes."""
        while True:
            is_awaited = self._has_items.wait(IDLE_S)
            before = self._taken
            time.sleep(GROW_AFTER_S)
            with self._changed:
                if self._items:
                    if self._taken == before:
                        self._add_hand()
                elif self._is_closed or not is_awaited:
                    self._is_watched = False
                    return
                else:
                    self._has_items.clear()


class AsyncLane:
    """An event loop in a thread, for nodes whose ``run`` is ``async``. Started when there is work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def start(
        self, coroutine: Coroutine[Any, Any, Any], on_done: Callable[[asyncio.Task[Any]], None]
    ) -> Callable[[], None]:
        """Run a coroutine beside the others, then ``on_done``. Gives a function that cancels it from any thread.

        Raises Cancelled on a closed lane.
        """
        tasks: list[asyncio.Task[Any]] = []
        with self._lock:  # so that nothing can begin after the loop was told to stop
            if self._is_closed:
                coroutine.close()
                raise Cancelled("the executor is closed")
            loop = self._loop or self._new_loop()

            def begin() -> None:
                tasks.append(loop.create_task(coroutine))
                tasks[0].add_done_callback(on_done)

            loop.call_soon_threadsafe(begin)

        def stop() -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it the task
                loop.call_soon_threadsafe(lambda: tasks[0].cancel())

        return stop

    def close(self) -> None:
        """Stop the loop; what still runs on it is cancelled."""
        with self._lock:
            self._is_closed = True
            if self._loop is not None:
                _stop_loop(self._loop)
            self._loop = None

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        """A running loop, which also ends when nobody has this lane any more. The lock is held."""
        self._loop = loop = asyncio.new_event_loop()
        threading.Thread(target=_run_loop, args=(loop,), name="limner async", daemon=True).start()
        weakref.finalize(self, _stop_loop, loop).atexit = False
        return loop


def _stop_loop(loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # it is closed already
        loop.call_soon_threadsafe(loop.stop)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_end_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
