"""Servers as clients meet them: a real one in a process of its own, and one that answers whatever a test says."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NODES = Path(__file__).parents[2] / "server" / "jobs" / "nodes_of_tests.py"
ANNA, BERT = "token-of-anna", "token-of-bert"


def graph(**nodes: Any) -> dict[str, Any]:
    return {"limner": 1, "name": "test", "nodes": nodes}


def node(type_name: str, wires: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    return {"type": type_name, "settings": settings, "wires": wires or {}}


def steps(count: int = 3, seconds: float = 0.0, salt: int = 0) -> dict[str, Any]:
    """A node that counts, and one that writes what it counted."""
    return graph(steps=node("Steps", count=count, seconds=seconds, salt=salt), write=node("Write", {"value": "steps"}))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def serving(data: Path, *options: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``limner serve`` with the nodes of tests. Gives its URL."""
    command = [sys.executable, "-m", "limner", "serve", "--port", str(port), "--data", str(data), "--device", "cpu"]
    settings = os.environ | {"LIMNER_CACHE_DIR": str(data / "cache"), "OMP_NUM_THREADS": "1"}
    for name in ("LIMNER_CONFINE", "LIMNER_TOKEN", "LIMNER_SERVER"):
        settings.pop(name, None)
    with subprocess.Popen(
        [*command, "--nodes", str(NODES), *options], stdout=subprocess.PIPE, text=True, env=settings
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().removeprefix("ready: "), process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def write_tokens(path: Path) -> Path:
    lines = [
        f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()}{right}\n"
        for name, token, right in (("anna", ANNA, " admin"), ("bert", BERT, ""))
    ]
    path.write_text("".join(lines))
    return path


def answer(body: bytes, status: str = "200 OK", media_type: str = "application/json", **headers: str) -> bytes:
    """An HTTP answer, whole."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Actor:
    """A server that gives each connection the next of its answers, and the last one again and again.

    An answer is what is written, byte for byte, before the line is cut; None is silence.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self.heard.append(_request(line))
            content = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if content is None:
                self._held.append(line)
                continue
            with suppress(OSError):  # the client had enough
                line.sendall(content)
            line.close()

    def __enter__(self) -> Actor:
        return self

    def __exit__(self, *args: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for line in self._held:
            line.close()


def _request(line: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard and (chunk := line.recv(65536)):
        heard += chunk
    head, _, body = heard.partition(b"\r\n\r\n")
    length = next(
        (int(part.split(b":")[1]) for part in head.split(b"\r\n") if part.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length and (chunk := line.recv(65536)):
        body += chunk
    return head + b"\r\n\r\n" + body
