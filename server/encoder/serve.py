"""The life of the service: bind, load, say that it is ready, and end in order when asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from pydantic import SecretStr

from limner.engine.errors import Cancelled
from limner.engine.events import Event
from limner.nodes._remote.protocol import EncoderModel
from limner.server.clients import Clients
from limner.server.encoder.app import Service
from limner.server.encoder.model import Encoder
from limner.server.encoder.turns import Turns
from limner.server.guard import Guard
from limner.server.listening import is_local, stop_on_signals, url_of

SHUTDOWN_S: Final = 10.0
"""How long requests that are being answered may still take when the service is asked to end."""


def serve(
    encoder: Encoder,
    server: socket.socket,
    token: SecretStr | None,
    *,
    queue: int,
    timeout_s: float,
    on_ready: Callable[[str, EncoderModel], None],
) -> bool:
    """Serve on a socket of ``listening.listen`` until SIGINT or SIGTERM. Gives whether it was ever ready.

    ``on_ready`` hears the URL and the model once requests are answered. Raises ModelError or DeviceError where the
    model cannot be loaded.
    """
    guard = Guard(is_local(server), None if token is None else Clients.single(token))
    service = Service(encoder, guard, Turns(queue), timeout_s)
    is_ready = asyncio.run(_serve(service, server, on_ready))
    if service.turns.is_busy:  # a thread that computes cannot be stopped, and Python would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if is_ready else 128 + signal.SIGINT)
    return is_ready


async def _serve(service: Service, server: socket.socket, on_ready: Callable[[str, EncoderModel], None]) -> bool:
    runner = web.AppRunner(service.app(), access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    stop = asyncio.Event()

    def report(kind: Callable[..., Event], *fields: Any) -> None:
        if stop.is_set():
            raise Cancelled

    with stop_on_signals(stop):
        try:
            await web.SockSite(runner, server).start()
            loading = asyncio.ensure_future(service.turns.take(lambda: service.encoder.load(report)))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                loading.cancel()
                return False
            service.model = await loading
            on_ready(url_of(server), service.model)
            await stopping
            return True
        finally:
            service.turns.close()
            await runner.cleanup()
