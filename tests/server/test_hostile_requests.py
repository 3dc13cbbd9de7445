"""Requests that no honest client sends: names, origins, bodies and paths that are wrong, and connections that hang."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError

from limner.server.connections import listen
from limner.server.limits import Limits

JSON = {"Content-Type": "application/json"}


RUN = "/v1/run/text_to_image"


HOSTS = ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "169.254.169.254", "a@127.0.0.1", "", "[::1"]


ORIGINS = [
    "https://evil.test",
    "null",
    "http://127.0.0.1",
    "http://localhost:1",
    "file://",
    "http://127.0.0.1.evil.test",
]


@pytest.mark.parametrize("host", HOSTS)
def test_names_that_are_not_the_machines_own(serving: Any, host: str) -> None:
    """A name that an attacker leads to 127.0.0.1 is not answered to."""

    async def use(api: Any) -> None:
        place = urlsplit(api.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(f"GET /v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ")[1] in (b"421", b"400")

    serving(use)


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_others(serving: Any, origin: str) -> None:
    """No page of others may ask anything, over HTTP or a WebSocket."""

    async def use(api: Any) -> None:
        headers = {"Origin": origin}
        assert (await api.ask("GET", "/v1/jobs", headers=headers)).status == 403
        assert (await api.ask("POST", RUN, {}, headers=headers)).status == 403
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        assert (await api.ask("GET", "/v1/events", headers=headers | upgrade | key)).status == 403
        assert (await api.ask("GET", "/v1/jobs", headers={"Origin": api.url})).status == 200

    serving(use)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_can_send(serving: Any, kind: str) -> None:
    """A body that a page can send without asking is refused, also where no body is read."""

    async def use(api: Any) -> None:
        job = await api.submit()
        for path in (RUN, "/v1/jobs", f"/v1/jobs/{job}/cancel", "/v1/queue/pause", "/v1/uploads"):
            answer = await api.ask("POST", path, data=b"{}", headers={"Content-Type": kind})
            assert answer.status == 415, path
        assert (await api.ask("GET", f"/v1/jobs/{job}")).json["state"] == "pending"

    serving(use)


DEEP = "[" * 100_000


BODIES: list[tuple[bytes, str]] = [
    (b"", "the graph"),
    (b"{", "not JSON"),
    (b"\xff\xfe{}", "UTF-8"),
    (DEEP.encode(), "nested"),
    (('{"graph": ' + "[" * 200 + "]" * 200 + "}").encode(), "nested"),
    (b'{"template": "text_to_image", "parameters": {"seed": ' + b"9" * 5000 + b"}}", "digits"),
    (b'{"template": "text_to_image", "parameters": {"seed": ' + b"9" * 500 + b"}}", "integer"),
    (b'{"template": "text_to_image", "parameters": {"guidance": NaN}}', "NaN"),
    (b'{"template": "text_to_image", "parameters": {"guidance": 1e999}}', "finite"),
    (b'{"template": "text_to_image", "parameters": {"prompt": "\\ud800"}}', "Unicode"),
    (b'{"graph": {}, "graph": {}}', "twice"),
    (b"[]", "object"),
    (b"null", "object"),
    (b'"text_to_image"', "object"),
    (b'{"template": "../text_to_image"}', "no template"),
    (b'{"template": "/etc/passwd"}', "no template"),
    (b'{"template": "text_to_image\\r\\nSet-Cookie: a=b"}', "no template"),
    (b'{"template": "text_to_image", "priority": "high"}', "integer"),
    (b'{"template": "text_to_image", "priority": 100000}', "at most"),
    (b'{"template": "text_to_image", "extra": 1}', "unknown"),
    (b'{"graph": {"limner": 1, "nodes": {}}, "template": "text_to_image"}', "or the name"),
    (b'{"graph": {"limner": 99, "nodes": {}}}', "version"),
    (b'{"graph": {"limner": 1, "nodes": {"a": {"type": "__import__(\'os\')"}}}}', "unknown node type"),
    (b'{"graph": {"limner": 1, "name": "a\\r\\nb", "nodes": {}}}', "control"),
    (b'{"graph": {"limner": 1, "nodes": {"a/../b": {"type": "Integer"}}}}', "no id"),
]


@pytest.mark.parametrize(("body", "said"), BODIES)
def test_bodies_that_are_wrong(serving: Any, body: bytes, said: str) -> None:
    """Each is refused with a message that says what is wrong."""

    async def use(api: Any) -> None:
        for path in ("/v1/jobs", "/v1/plan"):
            answer = await api.ask("POST", path, data=body, headers=JSON)
            assert answer.status in (400, 422), answer.body[:200]
        if body:
            answer = await api.ask("POST", "/v1/jobs", data=body, headers=JSON)
            assert said in answer.body.decode(), answer.body[:300]
        assert (await api.ask("GET", "/v1/jobs")).json == {"jobs": []}

    serving(use)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/uploads", "/v1/form/picture"])
def test_a_compression_that_is_broken(serving: Any, path: str) -> None:
    """What is said to be compressed and is not is the client's fault."""

    async def use(api: Any) -> None:
        kind = "application/json" if path == "/v1/jobs" else "image/png"
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
        answer = await api.ask("POST", path, data=b"no gzip", headers=headers)
        assert (answer.status, answer.json["detail"]) == (400, "the body cannot be read")

    serving(use)


def test_bodies_that_are_too_large(serving: Any) -> None:
    """A large body is refused by its length, and one that hides its length as soon as it is too long."""
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 200 << 20:
            given += 1 << 20
            yield b" " * (1 << 20)

    async def use(api: Any) -> None:
        large = await api.ask("POST", "/v1/jobs", data=io.BytesIO(b"[" + b" " * (17 << 20)), headers=JSON)
        assert large.status == 413
        with suppress(OSError, ClientError):  # the connection may be cut while it is being sent
            answer = await api.ask("POST", "/v1/jobs", data=endless(), headers=JSON)
            assert answer.status == 413
        assert given < 64 << 20
        bomb = gzip.compress(b" " * (64 << 20))
        packed = JSON | {"Content-Encoding": "gzip"}
        assert (await api.ask("POST", "/v1/jobs", data=bomb, headers=packed)).status == 413

    serving(use)


PATHS = [
    "/v1/jobs/../../etc/passwd",
    "/v1/artifacts/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/v1/artifacts/..%5c..%5csecret",
    "/v1/artifacts/%00",
    "/v1/templates/%2e%2e%2ftext_to_image",
    "/v1/templates/..",
    "/v1/templates/%2Fetc%2Fpasswd",
    "/v1/templates/text_to_image.json",
    "/v1/nodes/__class__",
    "/uploads/",
    "/jobs.db",
    "/v1/%F0%28%8C%28",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_lead_out(serving: Any, path: str) -> None:
    """There is nothing at such an address."""

    async def use(api: Any) -> None:
        place = urlsplit(api.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ")[1] in (b"404", b"400")
        assert b"root:" not in answer

    serving(use)


def test_connections_that_say_nothing_are_bounded(serving: Any) -> None:
    """Past the limit of connections another is refused at once, and those that are there go on."""

    async def use(api: Any) -> None:
        async with AsyncExitStack() as stack:
            server = socket.create_server(("127.0.0.1", 0))
            await listen(api.service, server, stack)
            place = server.getsockname()
            kept = [await asyncio.open_connection(*place) for _ in range(2)]
            while len(api.service.unheard) < 2:
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection(*place)
            assert (await reader.read()).startswith(b"HTTP/1.1 503")
            asking, asked = kept[0]
            asked.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert (await asking.read()).startswith(b"HTTP/1.1 200")
            for _, one in [*kept, (reader, writer)]:
                one.close()

    serving(use, limits=Limits(connections=2))


def test_a_connection_that_never_finishes_its_headers_is_cut(serving: Any) -> None:
    """One that begins a request and stops is let go; one whose request came has the time that its answer takes."""

    async def use(api: Any) -> None:
        async with AsyncExitStack() as stack:
            server = socket.create_server(("127.0.0.1", 0))
            await listen(api.service, server, stack, idle_s=0.2)
            slow, begun = await asyncio.open_connection(*server.getsockname())
            begun.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n")
            asking, asked = await asyncio.open_connection(*server.getsockname())
            head = f"POST {RUN}?wait=1&timeout_s=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            asked.write(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            assert await slow.read() == b""
            assert (await asking.read()).startswith(b"HTTP/1.1 202")
            assert not api.service.unheard
            for one in (begun, asked):
                one.close()

    serving(use)


def test_the_log_holds_nothing_of_what_is_no_http(serving: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A header that cannot be read, with a token in it, is refused, and the log says only that."""

    async def use(api: Any) -> None:
        async with AsyncExitStack() as stack:
            server = socket.create_server(("127.0.0.1", 0))
            await listen(api.service, server, stack)
            reader, writer = await asyncio.open_connection(*server.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\x01\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.0 400")
            writer.close()

    with caplog.at_level("INFO", "limner.server.http"):
        serving(use)
    assert [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "limner.server.http"] == [
        ("INFO", "a request that cannot be read was refused")
    ]
    assert "secret" not in caplog.text
