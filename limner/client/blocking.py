"""Programs that are not asynchronous: the same methods, run by an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")

_LETTING_GO_S: Final = 15.0


class LoopThread:
    """An event loop in a daemon thread. ``close`` is awaited on it when it ends, or when nobody holds it any more."""

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(self._loop,), name="limner client", daemon=True)
        thread.start()
        self._end = weakref.finalize(self, _end, self._loop, thread, close)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives. An interrupt cancels it, and goes on when it has put its things in order."""
        is_over = threading.Event()

        async def tracked() -> T:
            try:
                return await work
            finally:
                is_over.set()

        if self.is_closed:
            work.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(tracked(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            is_over.wait(_LETTING_GO_S)
            raise

    def iterate(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        """What an asynchronous generator gives, one after the other."""

        async def following() -> tuple[T, ...]:
            async for value in source:
                return (value,)
            return ()

        try:
            while found := self.run(following()):
                yield from found
        finally:
            if not self.is_closed:
                self.run(_close(source))

    @property
    def is_closed(self) -> bool:
        """Whether nothing runs on it any more."""
        return not self._end.alive

    def close(self) -> None:
        """End the loop and its thread. A second time nothing happens."""
        self._end()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _end(
    loop: asyncio.AbstractEventLoop, thread: threading.Thread, close: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Close and stop. It may be the loop's own thread that collects garbage: that one does not wait for itself."""

    async def end() -> None:
        try:
            await close()
        finally:
            loop.stop()

    asyncio.run_coroutine_threadsafe(end(), loop)
    if threading.current_thread() is not thread:
        thread.join(_LETTING_GO_S)


async def _close(source: AsyncGenerator[Any, None]) -> None:
    await source.aclose()


class Blocking(Generic[A]):
    """Holds an asynchronous object, and the loop that its methods run on."""

    def __init__(self, inner: A, loop: LoopThread) -> None:
        self._inner = inner
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._inner).replace("Async", "", 1)


def blocking(method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Blocking[A], P], T]:
    """The same method for programs that wait for it."""

    @functools.wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(method(self._inner, *args, **kwargs))

    return call


def iterating(
    method: Callable[Concatenate[A, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Blocking[A], P], Iterator[T]]:
    """The same generator for programs that wait for each value."""

    @functools.wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._loop.iterate(method(self._inner, *args, **kwargs))

    return call
