"""Requests reach the addresses that are allowed, and no others, whatever a name leads to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from limner.engine.errors import InputError
from limner.nodes._remote.call import Answer, Service, TemporaryError, call


class Rebinding(AbstractResolver):
    """A name server of an attacker: a public address first, then another."""

    def __init__(self, *addresses: str) -> None:
        self._addresses: Iterator[str] = iter(addresses)

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        address = next(self._addresses)
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def with_server(use: Callable[[int, list[str]], Awaitable[Any]]) -> Any:
    """Run ``use`` beside a server on 127.0.0.1; it gets the port and the list of what was asked."""

    async def run() -> Any:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.path)
            return web.Response(text="secret")

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        async with TestServer(app, host="127.0.0.1") as server:
            assert server.port is not None
            return await use(server.port, asked)

    return asyncio.run(run())


def ask(service: Service) -> Awaitable[Answer]:
    return call(service, "GET", "/v1/model", max_bytes=1000)


@pytest.mark.parametrize("leads_to", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_a_name_that_leads_inside_is_refused(leads_to: str) -> None:
    """The name was public when somebody looked; what counts is where it leads when it is connected to."""

    async def use(port: int, asked: list[str]) -> None:
        resolver = Rebinding(leads_to)
        with pytest.raises(InputError, match="private network"):
            await ask(Service(f"https://rebind.example:{port}", resolver=resolver))
        assert asked == []

    with_server(use)


def test_each_connection_is_checked_anew() -> None:
    """A name that was allowed once is not trusted the second time."""

    async def use(port: int, asked: list[str]) -> None:
        resolver = Rebinding("127.0.0.1", "169.254.169.254")
        service = Service(f"http://rebind.example:{port}", allow_private=True, resolver=resolver)
        assert (await ask(service)).body == b"secret"
        with pytest.raises(InputError, match="never connected to"):
            await ask(service)
        assert asked == ["/v1/model"]

    with_server(use)


@pytest.mark.parametrize(
    "host", ["localhost", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "%6cocalhost"]
)
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    """Names, decimal, hexadecimal, octal and short forms, and percent-encoded letters."""

    async def use(port: int, asked: list[str]) -> None:
        with pytest.raises((InputError, TemporaryError)) as caught:
            await ask(Service(f"https://{host}:{port}"))
        said = ("private network", "is no URL", "cannot be reached")  # the last where a system knows no such form
        assert any(words in caught.value.message for words in said)
        assert asked == []

    with_server(use)


def test_allowed_this_machine_answers() -> None:
    """So that the test before is one. Addresses in odd forms are no URLs, allowed or not."""

    async def use(port: int, asked: list[str]) -> None:
        for host in ("localhost", "127.0.0.1"):
            assert (await ask(Service(f"http://{host}:{port}", allow_private=True))).body == b"secret"

    with_server(use)


@pytest.mark.parametrize("scheme", ["http", "HTTP", "hTTp"])
def test_nothing_is_sent_readable_to_a_public_address(scheme: str) -> None:
    """Also where http is written in capitals, and private addresses are allowed."""
    service = Service(f"{scheme}://encoder.example:9", allow_private=True, resolver=Rebinding("8.8.8.8"))
    with pytest.raises(InputError, match="use https://"):
        with_server(lambda port, asked: ask(service))


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect in our place, without looking at addresses."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def use(port: int, asked: list[str]) -> None:
        assert (await ask(Service(f"http://127.0.0.1:{port}", allow_private=True))).body == b"secret"

    with_server(use)
