"""Who reads slowly is sent everything, and who does not read, or is gone, is let go: in a time that passes at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType

from limner.server.comfy.line import Line
from limner.server.comfy.messages import Message, StoredPicture

MIB = 1 << 20
PONG = WSMessage(WSMsgType.PONG, b"", "")


class Waits(selectors.DefaultSelector):
    """Waits no time, and knows how long it would have."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing would ever happen"
        self.waited += timeout
        return super().select(0)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop in which all time is skipped in which nothing happens."""

    def __init__(self) -> None:
        self.selector = Waits()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.waited


class Socket:
    """The other end reads so many bytes a second, or so many messages."""

    def __init__(self, bytes_s: float = 1e9, message_s: float = 0.0) -> None:
        self.bytes_s = bytes_s
        self.message_s = message_s
        self.received: list[Any] = []
        self.pinged = asyncio.Event()

    async def send_str(self, content: str) -> None:
        await asyncio.sleep(self.message_s + len(content) / self.bytes_s)
        self.received.append(content)

    async def send_bytes(self, content: bytes) -> None:
        await asyncio.sleep(self.message_s + len(content) / self.bytes_s)
        self.received.append(content)

    async def ping(self) -> None:
        self.pinged.set()

    async def pong(self, content: bytes) -> None:
        self.received.append(("pong", content))


async def stored(sha256: str) -> bytes:
    if sha256 == "gone":
        raise FileNotFoundError
    return b"p" * 6 * MIB


def passes(use: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """How long it takes."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(use())
        return runner.get_loop().time()


def test_who_reads_steadily_is_sent_everything() -> None:
    """However long all of it takes, and a large picture as long as a slow line needs for it."""

    async def use() -> None:
        slow = Socket(bytes_s=40_000, message_s=5)
        messages: list[Message] = ["a"] * 100 + [StoredPicture(b"head", "there"), StoredPicture(b"", "gone"), "b"]
        await Line(slow, stored).send(messages)
        assert slow.received[-2:] == [b"head" + await stored("there"), "b"]
        assert len(slow.received) == 102

    assert passes(use) > 600


@pytest.mark.parametrize("message", ["a", b"p" * MIB])
def test_who_reads_nothing_is_let_go_after_a_while(message: Message) -> None:
    async def use() -> None:
        with pytest.raises(TimeoutError):
            await Line(Socket(message_s=1e6), stored).send([message])

    assert 29 < passes(use) < 65


def test_who_answers_late_is_still_there() -> None:
    """What was sent before the question is read before it; whoever then says nothing more is gone."""

    async def use() -> None:
        socket = Socket()
        line = Line(socket, stored)
        keeping = asyncio.ensure_future(line.keep())
        for _ in range(5):
            await socket.pinged.wait()
            socket.pinged.clear()
            await asyncio.sleep(150)  # as 4 MiB that the system still holds take at 32 KiB a second
            await line.hear(PONG)
        with pytest.raises(TimeoutError):
            await keeping

    assert 5 * 170 < passes(use) < 5 * 170 + 220


def test_a_picture_on_its_way_is_no_silence() -> None:
    """Nobody is asked for a sign of life that would have to come before the picture does."""

    async def use() -> None:
        socket = Socket(bytes_s=40_000)
        line = Line(socket, stored)
        keeping = asyncio.ensure_future(line.keep())
        await line.send([StoredPicture(b"", "there")])
        assert not socket.pinged.is_set()
        await socket.pinged.wait()
        assert not keeping.done()
        keeping.cancel()

    passes(use)


def test_pings_are_answered() -> None:
    async def use() -> None:
        socket = Socket()
        await Line(socket, stored).hear(WSMessage(WSMsgType.PING, b"there?", ""))
        assert socket.received == [("pong", b"there?")]

    passes(use)
