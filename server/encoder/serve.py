"""The life of the service: bind, load, say that it is ready, and end in order when asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiohttp import web
from pydantic import SecretStr

from limner.engine.errors import Cancelled, InputError
from limner.engine.events import Event
from limner.nodes._remote.address import address_of
from limner.nodes._remote.protocol import EncoderModel
from limner.server.encoder.app import Service
from limner.server.encoder.guard import Guard
from limner.server.encoder.model import Encoder
from limner.server.encoder.turns import Turns

SHUTDOWN_S: Final = 10.0
"""How long requests that are being answered may still take when the service is asked to end."""


def listen(host: str, port: int, *, has_token: bool) -> socket.socket:
    """A socket that listens there. Raises InputError where that is not possible, or open to others without a token."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InputError(f"--host {host}: {error.strerror or error}") from error
    family, _, _, _, where = min(found, key=lambda info: info[0] != socket.AF_INET)
    if not has_token and not _is_loopback(str(where[0])):
        raise InputError(
            f"--host {host}: others can connect there, and there is no token",
            hint="give one with --token-file or LIMNER_TOKEN, or listen on 127.0.0.1 and use an SSH tunnel",
        )
    try:
        return socket.create_server(where[:2], family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            hint="--port 0 takes a free one",
        ) from error


def _is_loopback(host: str) -> bool:
    address = address_of(host)
    return address is not None and address.is_loopback


def serve(
    encoder: Encoder,
    server: socket.socket,
    token: SecretStr | None,
    *,
    queue: int,
    timeout_s: float,
    on_ready: Callable[[str, EncoderModel], None],
) -> bool:
    """Serve on a socket of ``listen`` until SIGINT or SIGTERM. Gives whether it was ever ready.

    ``on_ready`` hears the URL and the model once requests are answered. Raises ModelError or DeviceError where the
    model cannot be loaded.
    """
    guard = Guard(is_local=_is_loopback(server.getsockname()[0]), token=token)
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

    with _signals(stop):
        try:
            await web.SockSite(runner, server).start()
            loading = asyncio.ensure_future(service.turns.take(lambda: service.encoder.load(report)))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                loading.cancel()
                return False
            service.model = await loading
            on_ready(_url(server), service.model)
            await stopping
            return True
        finally:
            service.turns.close()
            await runner.cleanup()


def _url(server: socket.socket) -> str:
    host, port = server.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM sets ``stop``; a second one ends the process at once.

    What is ignored, as SIGINT is in a job in the background, stays so.
    """
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in heard}
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in heard:
        try:
            loop.add_signal_handler(number, end, number)  # which wakes the loop, whatever thread the signal reached
        except NotImplementedError:  # Windows, where the loop wakes by itself
            signal.signal(number, lambda number, frame: end(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
