"""The line to one client: it is sent what it reads, at its own pace, and asked now and then whether it is still there.

Pings that aiohttp sends by itself count the time that pictures before them take as silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from limner.server.comfy.messages import Message, StoredPicture
from limner.server.routes.events import PING_S, STALLED_S

_SLOWEST: Final = 32 << 10
"""Bytes a second of a line that is slow, and not cut: a picture may take as long."""
_ABSENT_S: Final = 180.0
"""How long a client may take to say that it is there: what is on its way to it, which may be some MiB, comes first."""


class Line:
    """Sends over one socket, which answers no pings by itself. ``picture`` gives stored ones by their SHA-256."""

    def __init__(self, socket: web.WebSocketResponse, picture: Callable[[str], Awaitable[bytes]]) -> None:
        self._socket = socket
        self._picture = picture
        self._turn = asyncio.Lock()
        self._is_there = asyncio.Event()

    async def send(self, messages: Iterable[Message]) -> None:
        """Send as fast as the client reads, and no faster. Raises TimeoutError where it reads nothing."""
        for one in messages:
            content = await self._content(one)
            async with self._turn, asyncio.timeout(STALLED_S + len(content) / _SLOWEST):
                if isinstance(content, str):
                    await self._socket.send_str(content)
                elif content:
                    await self._socket.send_bytes(content)

    async def hear(self, said: WSMessage) -> None:
        """Note a sign of life, and answer one that asks for it. Raises TimeoutError where it reads no answers."""
        self._is_there.set()
        if said.type is WSMsgType.PING:
            async with asyncio.timeout(STALLED_S):
                await self._socket.pong(said.data)

    async def keep(self) -> None:
        """Ask whether the client is there, for as long as it is. Raises TimeoutError where it is not."""
        while True:
            await asyncio.sleep(PING_S)
            self._is_there.clear()
            async with self._turn, asyncio.timeout(STALLED_S):
                await self._socket.ping()
            async with asyncio.timeout(_ABSENT_S):
                await self._is_there.wait()

    async def _content(self, message: Message) -> str | bytes:
        """What is sent; nothing of a picture that was forgotten since, to make room."""
        if not isinstance(message, StoredPicture):
            return message
        try:
            return message.head + await self._picture(message.sha256)
        except FileNotFoundError:
            return b""
