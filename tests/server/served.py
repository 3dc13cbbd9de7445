"""A server as tests ask it, and the part of a worker that they play."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from aiohttp import ClientSession

from limner.server.clients import Client, Clients
from limner.server.jobs.job import Artifact, Claim
from limner.server.jobs.leases import Ending
from limner.server.service import Service

ANNA, BERT, ROOT = "token-of-anna", "token-of-bert", "token-of-root"


def clients() -> Clients:
    names = [(ANNA, Client("anna")), (BERT, Client("bert")), (ROOT, Client("root", is_admin=True))]
    return Clients([(sha256(token.encode()).digest(), client) for token, client in names])


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


STAR = {"prompt": "a blue star on white"}


@dataclass
class FakeCrew:
    """Notes what it is asked."""

    asked: int = 0
    freed: int = 0
    watched: list[bool] = field(default_factory=list)

    def ensure(self) -> None:
        self.asked += 1

    def free_models(self) -> None:
        self.freed += 1

    def watch(self, is_watched: bool) -> None:
        self.watched.append(is_watched)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def faults(self) -> list[str]:
        return [".".join(map(str, fault["path"])) for fault in self.json.get("faults", [])]


@dataclass
class Api:
    """A server that answers, and its state."""

    service: Service
    session: ClientSession
    url: str
    crew: FakeCrew
    token: str | None = None

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        if body is not None:
            options |= {"data": json.dumps(body)}
            headers = {"Content-Type": "application/json"} | headers
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            answer = Answer(response.status, response.headers, await response.read())
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if answer.status >= 400:
            assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.body
            assert answer.json["status"] == answer.status
            assert b"Traceback" not in answer.body
            assert b'File "' not in answer.body
        return answer

    async def submit(self, **options: Any) -> str:
        """The id of a new job."""
        answer = await self.ask("POST", "/v1/jobs", {"template": "text_to_image", "parameters": STAR}, **options)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def claim(self) -> Claim:
        """Take a job as a worker would."""
        claim = self.service.store.leases.claim("w-test")
        assert claim is not None
        return claim

    def finish(self, claim: Claim, name: str = "outputs/image.png", content: bytes = b"a picture") -> str:
        """End a job with one file. Gives its hash."""
        digest = self.service.store.blobs.put(content)
        ending = Ending("completed", artifacts=[Artifact(name, digest, len(content), "save")])
        self.service.store.leases.finish(claim, ending)
        return digest
