"""A server that misbehaves, as a program of its own: ``python liar.py FOLDER PORT``. It needs nothing but Python.

The first part of a path says how. Answers are files of the folder: ``model.json``, ``true.body``, ``SHAPE.body``, ...
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
CALLS: Counter[str] = Counter()


class Liar(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        how = self.path.split("/")[1]
        own = FOLDER / f"{how}.model.json"
        self._send(200, (own if own.exists() else FOLDER / "model.json").read_bytes())

    def do_POST(self) -> None:
        how = self.path.split("/")[1]
        CALLS[how] += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        getattr(self, f"do_{how}", self.do_file)(how)

    def do_file(self, how: str) -> None:
        body = (FOLDER / f"{how}.body").read_bytes()
        self._send(200, body, {"Content-Digest": digest(body)})

    def do_checksum(self, how: str) -> None:
        self._send(200, (FOLDER / "true.body").read_bytes(), {"Content-Digest": digest(b"other")})

    def do_unsigned(self, how: str) -> None:
        self._send(200, (FOLDER / "true.body").read_bytes())

    def do_nothing(self, how: str) -> None:
        self.close_connection = True

    def do_empty(self, how: str) -> None:
        self._send(200, b"", {"Content-Digest": digest(b"")})

    def do_packed(self, how: str) -> None:
        self._send(200, b"x", {"Content-Encoding": "gzip"})

    def do_long(self, how: str) -> None:
        self._begin(200, {"Content-Length": str(10 << 30)})

    def do_endless(self, how: str) -> None:
        self._begin(200, {"Connection": "close"})
        sent = 0
        try:
            while sent < 10 << 30:
                sent += self.wfile.write(bytes(1 << 16))
        except OSError:
            (FOLDER / "sent").write_text(str(sent))

    def do_slow(self, how: str) -> None:
        time.sleep(60)

    def do_half(self, how: str) -> None:
        """Half an answer, and then nothing, until somebody ends this process; the next one answers."""
        body = (FOLDER / "true.body").read_bytes()
        if (FOLDER / "halved").exists():
            return self._send(200, body, {"Content-Digest": digest(body)})
        self._begin(200, {"Content-Length": str(len(body)), "Content-Digest": digest(body)})
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        (FOLDER / "halved").touch()
        time.sleep(60)
        return None

    def do_busy(self, how: str) -> None:
        if CALLS["busy"] < 3:
            return self._send(503 if CALLS["busy"] % 2 else 429, b"not JSON", {"Retry-After": "0"})
        return self.do_file("true")

    def do_wrong(self, how: str) -> None:
        """Refuses, and sends back what it got."""
        said = self.headers.get("Authorization", "").encode()
        self._send(422, b'{"error": {"message": "you said ' + said + b'"}}')

    def do_refusing(self, how: str) -> None:
        self._send(401, b'{"error": {"message": "not ' + self.headers.get("Authorization", "").encode() + b'"}}')

    def do_elsewhere(self, how: str) -> None:
        self._send(307, b"", {"Location": "/true/v1/encode"})

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._begin(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base gives it
        pass


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Liar)
    print(server.server_address[1], flush=True)
    server.serve_forever()
