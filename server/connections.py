"""The connections of a server: how many there may be, and how long each may say nothing."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from typing import Final

from aiohttp import web

from limner.server.app import make_app
from limner.server.http_log import http_log
from limner.server.service import Service

SHUTDOWN_S: Final = 2.0
"""How long answers may still take when the server is asked to end."""
IDLE_S: Final = 30.0
"""How long a connection may say nothing, and how long its first request may take to begin."""
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


async def listen(service: Service, server: socket.socket, stack: AsyncExitStack, *, idle_s: float = IDLE_S) -> None:
    """Answer on a socket until ``stack`` ends; past the limit of connections, with a refusal."""
    runner = web.AppRunner(
        make_app(service),
        access_log=None,
        logger=http_log(),
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=idle_s,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    answering = runner.server
    assert answering is not None, "the runner was set up"
    loop = asyncio.get_running_loop()

    def connect() -> asyncio.Protocol:
        if len(answering.connections) >= service.limits.connections:
            return _Refusal()
        handler = answering()
        service.unheard[handler] = loop.call_later(idle_s, _let_go, service, handler)
        return handler

    listening = await loop.create_server(connect, sock=server)
    stack.callback(listening.close)


def _let_go(service: Service, handler: web.RequestHandler) -> None:
    """Cut a connection whose first request has not come: aiohttp itself would wait for its headers for ever."""
    service.unheard.pop(handler, None)
    handler.force_close()


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so, and end it."""
        assert isinstance(transport, asyncio.Transport)
        with suppress(OSError):
            transport.write(_TOO_MANY)
        transport.close()
