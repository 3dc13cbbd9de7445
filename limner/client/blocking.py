"""Programs that are not asynchronous: the same methods, run by an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")

_LETTING_GO_S: Final = 15.0


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="limner client", daemon=True)
        self._thread.start()

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
        return self._loop.is_closed()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


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
