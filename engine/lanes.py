"""Where nodes run: one lane a device, so that a device does one thing at a time, and a shared one for the host."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple, Protocol


class Work(Protocol):
    """A run, as a lane sees it."""

    def execute(self, index: int) -> Iterable[tuple[str, int]]:
        """Run one node; give the nodes that became ready, each with its lane."""
        ...


class Item(NamedTuple):
    """One node of one run."""

    work: Work
    node: int


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
        if workers > 1:
            threading.Thread(target=self._watch, name=f"limner {name} watch", daemon=True).start()

    def push(self, items: list[Item]) -> None:
        """Queue items and make sure that somebody takes them."""
        with self._changed:
            self._items.extend(reversed(items))
            if self._workers == self._idle:
                self._add_hand()
        self._has_items.set()

    def close(self) -> None:
        """Let the workers end after what they are doing."""
        with self._changed:
            self._is_closed = True
            self._items.clear()
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
        mine: Item | None = None
        while (item := mine or self._take()) is not None:
            self._taken += 1
            mine = None
            others: dict[str, list[Item]] = {}
            for lane, index in item.work.execute(item.node):
                if mine is None and lane == self.name:
                    mine = Item(item.work, index)
                else:
                    others.setdefault(lane, []).append(Item(item.work, index))
            for lane, items in others.items():
                self._hand_over(lane, items)

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
        while not self._is_closed:
            self._has_items.wait()
            before = self._taken
            time.sleep(GROW_AFTER_S)
            with self._changed:
                if not self._items:
                    self._has_items.clear()
                elif self._taken == before:
                    self._add_hand()


class AsyncLane:
    """An event loop in a thread, for nodes whose ``run`` is ``async``. Started when there is work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(
        self, coroutine: Coroutine[Any, Any, Any], on_done: Callable[[asyncio.Task[Any]], None]
    ) -> Callable[[], None]:
        """Run a coroutine beside the others, then ``on_done``. Gives a function that cancels it from any thread."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run_loop, args=(self._loop,), name="limner async", daemon=True).start()
        loop = self._loop
        tasks: list[asyncio.Task[Any]] = []

        def begin() -> None:
            tasks.append(loop.create_task(coroutine))
            tasks[0].add_done_callback(on_done)

        loop.call_soon_threadsafe(begin)

        def stop() -> None:
            loop.call_soon_threadsafe(lambda: tasks[0].cancel())

        return stop

    def close(self) -> None:
        """Stop the loop; what still runs on it is cancelled."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
