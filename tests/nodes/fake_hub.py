"""A folder served as a repository of the hub, for processes whose environment points to it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """A folder served as the repository ``someone/flux``; ``refusal`` is a status and code for all answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.refusal: tuple[int, str] | None = None
        self.refuses_files_only = False
        self.breaks_after: int | None = None
        self.goes_on = threading.Event()  # when cleared, weights stand still in the middle
        self.goes_on.set()
        self.served: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:  # the name that http.server calls
        self.do_GET(has_body=False)

    def do_GET(self, has_body: bool = True) -> None:  # likewise
        path = self.path.split("?")[0]
        hub, is_file = self.server, "/resolve/" in path
        if hub.refusal is not None and (is_file or not hub.refuses_files_only):
            status, code = hub.refusal
            return self.answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": "refused"}, has_body)
        if is_file:
            name = path.split(f"/resolve/{COMMIT}/")[-1]
            content = (hub.folder / name).read_bytes()
            if has_body:
                hub.served.append(name)
            return self.answer(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}, has_body)
        files = [path for path in sorted(hub.folder.rglob("*")) if path.is_file()]
        names = [path.relative_to(hub.folder).as_posix() for path in files]
        if "/tree/" in path:
            body: Any = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": "0" * 40}
                for name, file in zip(names, files, strict=True)
            ]
        else:
            body = {"id": "someone/flux", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        return self.answer(200, json.dumps(body).encode(), {}, has_body)

    def answer(self, status: int, content: bytes, headers: dict[str, str], has_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body and not self.server.goes_on.is_set() and self.path.endswith(".safetensors"):
            self.wfile.write(content[: len(content) // 2])
            self.server.goes_on.wait(30)
            content = content[len(content) // 2 :]
        if has_body:
            with suppress(ConnectionError):  # whoever was stopped hangs up
                self.wfile.write(content[: self.server.breaks_after])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server calls
        """Be quiet."""


def surroundings(url: str, home: Path, **settings: str) -> dict[str, str]:
    """The environment of a process that talks to our hub."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return environment | {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **settings}
