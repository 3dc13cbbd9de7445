"""What attackers try: refused with words, never a 500, and nothing read or written."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import json
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError
from served import ANNA, BERT, clients

from limner.engine.registry import Registry
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


FILES = [
    "/etc/passwd",
    "../secret.png",
    "uploads/../../secret.png",
    "~/secret.png",
    "~root/secret.png",
    "..\\secret.png",
    "C:\\secret.png",
    "\\\\host\\share\\secret.png",
    "//host/share/secret.png",
    "secret.png\0",
    "file:///etc/passwd",
    "http://127.0.0.1/secret.png",
    "link.png",
    "jobs.db",
    "uploads/link.png",
    "uploads/*.png/../../../secret.png",
    "/proc/self/environ",
    "/../" * 30 + "etc/passwd",
    "a" * 5000,
]


@pytest.mark.parametrize("file", FILES)
def test_files_outside_are_never_opened(serving: Any, file: str, tmp_path: Path) -> None:
    """No setting of any node reaches a file outside, however it is written; it is not said whether it is there."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)

    async def use(api: Any) -> None:
        for link in (Path("link.png"), Path("uploads/link.png")):
            link.symlink_to(secret)
        Path("jobs.db").touch()
        for node in Registry.installed().values():
            for name, schema in node.settings_schema.get("properties", {}).items():
                value = [file] if "array" in str(schema) else file
                if "string" not in str(schema) or "enum" in schema or name in ("prompt", "text", "negative_prompt"):
                    continue
                graph = {"limner": 1, "nodes": {"n": {"type": node.name, "settings": {name: value}}}}
                there = await api.ask("POST", "/v1/validate", {"graph": graph})
                text = json.dumps(graph).replace("secret", "absent")
                absent = await api.ask("POST", "/v1/validate", {"graph": json.loads(text)})
                assert there.body.replace(b"secret", b"absent") == absent.body
        graph = {"limner": 1, "nodes": {"n": {"type": "Graph", "settings": {"graph": file}}}}
        assert not (await api.ask("POST", "/v1/validate", {"graph": graph})).json["is_right"]
        graph = {"limner": 1, "nodes": {"n": {"type": "LoadReferenceImages", "settings": {"files": [file]}}}}
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph})
        assert (answer.status, answer.faults) == (422, ["nodes.n.settings.files"])

    serving(use)
    assert not [name for name in opened if "secret.png" in name or "passwd" in name or "environ" in name]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a.png", "~/a.png", "a\\b.png", "C:a.png", "\\\\h\\a.png", "a\0.png"]
)
def test_nothing_is_written_outside(serving: Any, path: str) -> None:
    """A graph that writes outside its job's folder is refused."""

    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/jobs", {"template": "text_to_image", "parameters": {"save.path": path}})
        assert answer.status == 422
        disk = {"mode": "group", "disk": "/tmp/weights"}
        graph = (await api.ask("GET", "/v1/templates/text_to_image")).json["graph"]
        graph["nodes"]["denoise"]["offload"] = disk
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph})
        assert answer.faults == ["nodes.denoise.offload.disk"]

    serving(use)


PATTERNS = [
    "uploads/*",
    "[u]ploads/*.png",
    "running/*/*/*.png",
    "*/*/*/*.png",
    "[j]obs.*",
    "artif[a]cts/*/*",
    "*",
    "*/*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_finds_what_others_brought_or_made(serving: Any, pattern: str) -> None:
    """What lies in the server's folder is only for who knows its name: no pattern matches, and none tells a name."""

    async def use(api: Any) -> None:
        api.token = ANNA
        made = png(64, 64, b"\0" * 64 * 193)
        taken = await api.ask("POST", "/v1/uploads", data=made, headers={"Content-Type": "image/png"})
        assert taken.status == 201, taken.body
        running = Path("running/0123/1/drawn.png")
        running.parent.mkdir(parents=True)
        running.write_bytes(made)
        kept = api.service.store.blobs.put(made)
        api.token = BERT
        graph = {"limner": 1, "nodes": {"n": {"type": "LoadReferenceImages", "settings": {"files": [pattern]}}}}
        answer = await api.ask("POST", "/v1/jobs", {"graph": graph})
        assert (answer.status, answer.faults) == (422, ["nodes.n.settings.files"])
        assert "patterns match nothing here" in answer.json["detail"]
        assert not [name for name in (kept, "jobs.db", "drawn") if name in answer.body.decode()]
        named = {**graph["nodes"]["n"], "settings": {"files": [taken.json["file"]]}}
        assert (await api.ask("POST", "/v1/jobs", {"graph": {"limner": 1, "nodes": {"n": named}}})).status == 201

    serving(use, clients=clients())


ADDRESSES = [
    "http://127.0.0.1:1",
    "http://169.254.169.254",
    "http://[::1]:1",
    "http://[::ffff:127.0.0.1]",
    "http://%6cocalhost",
    "http://10.0.0.1",
    "https://localhost",
    "http://2130706433",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_graph_does_not_reach_into_the_network(serving: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No graph of a client asks this machine or private networks, even if it says that it may."""

    async def use(api: Any) -> None:
        values = {"url": url, "allow_private": True}
        asked = {"template": "remote_encoder_nf4_18gb", "parameters": values}
        answer = await api.ask("POST", "/v1/jobs", asked)
        assert answer.status == 422
        assert "nodes.encode.settings" in "".join(answer.faults)
        named = asked | {"parameters": {"url": "https://example.org", "encode.token_env": "LIMNER_TOKEN_X"}}
        assert "nodes.encode.settings.token_env" in (await api.ask("POST", "/v1/jobs", named)).faults

    serving(use)


def test_a_listed_host_may_be_private(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the server says which hosts of its network are asked."""
    monkeypatch.setenv("LIMNER_ENCODERS", "127.0.0.1")

    async def use(api: Any) -> None:
        asked = {"template": "remote_encoder_nf4_18gb", "parameters": {"url": "http://127.0.0.1:1"}}
        assert (await api.ask("POST", "/v1/validate", asked)).json["is_right"]

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


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


UPLOADS = [
    (b"", "picture"),
    (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "picture"),
    (b"<html><script>alert(1)</script></html>", "picture"),
    (b"GIF89a" + b"\0" * 100, "picture"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "picture"),
    (png(100_000, 100_000), "million pixels"),
    (png(100, 100, b"\0" * 30_100)[:60], ""),
    (png(100, 100, b"\0" * 30_100)[:-20], ""),
    (b"PK\x03\x04" + b"\0" * 100, "picture"),
    (b"\x80\x04\x95 a pickle", "picture"),
]


@pytest.mark.parametrize(("content", "said"), UPLOADS)
def test_uploads_that_are_no_pictures(serving: Any, content: bytes, said: str) -> None:
    """What is no picture, claims to be huge, or breaks off, is not taken, whatever it calls itself."""

    async def use(api: Any) -> None:
        answer = await api.ask("POST", "/v1/uploads", data=content, headers={"Content-Type": "image/png"})
        assert answer.status in (415, 422)
        assert said in answer.json["detail"]
        assert not list(Path("uploads").iterdir())

    serving(use)


def test_an_upload_to_a_full_disk(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is said in words, and the next upload finds its way when there is room."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def use(api: Any) -> None:
        headers = {"Content-Type": "image/png"}
        with monkeypatch.context() as patch:
            patch.setattr("limner.server.uploads.write_atomically", full)
            answer = await api.ask("POST", "/v1/uploads", data=png(4, 4, bytes(52)), headers=headers)
            assert (answer.status, answer.json["detail"]) == (507, "the disk of the server is full")
        assert (await api.ask("POST", "/v1/uploads", data=png(4, 4, bytes(52)), headers=headers)).status == 201

    serving(use)


def test_uploads_are_bounded(serving: Any) -> None:
    """One file has a limit, and all together have one."""

    async def use(api: Any) -> None:
        headers = {"Content-Type": "image/png"}
        assert (await api.ask("POST", "/v1/uploads", data=b"\x89PNG" * 5000, headers=headers)).status == 413
        picture = png(100, 100, b"\0" * 30_100)
        assert (await api.ask("POST", "/v1/uploads", data=picture, headers=headers)).status == 507

    serving(use, limits=Limits(upload_bytes=10_000, uploads_bytes=50))


@pytest.mark.parametrize(
    "name", ["page.html", "picture.svg", "x.png.html", 'a"b\r\n.html', "data.json", "m.safetensors"]
)
def test_what_is_no_picture_is_never_run(serving: Any, name: str) -> None:
    """A file that a browser could run is sent to be saved, without a type, in a sandbox."""

    async def use(api: Any) -> None:
        await api.submit()
        digest = api.finish(api.claim(), name, b"<script>alert(1)</script>")
        answer = await api.ask("GET", f"/v1/artifacts/{digest}")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "sandbox" in answer.headers["Content-Security-Policy"]

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
