"""How a service begins to listen, and hears that it is to end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from limner.engine.errors import InputError
from limner.nodes._remote.address import address_of


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


def is_local(server: socket.socket) -> bool:
    """Whether only this machine can connect."""
    return _is_loopback(server.getsockname()[0])


def url_of(server: socket.socket) -> str:
    """Where a socket listens."""
    host, port = server.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    address = address_of(host)
    return address is not None and address.is_loopback


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
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
