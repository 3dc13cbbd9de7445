"""The page at ``/run``: files of our own, which a browser is given with the rule that it asks nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from aiohttp import web

from limner.server.problem import Refused

INDEX: Final = "index.html"
RUN_PATH: Final = "/run"
PATH: Final = "/page/"
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # asked again each time, and answered with 304: after an upgrade no file is an old one
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str
    tag: str
    """Its ``ETag``, without quotes."""


def read_files(package: str, folder: str) -> dict[str, PageFile]:
    """All files of a folder that a browser is given, by name."""
    found = {}
    for place in (files(package) / folder).iterdir():
        if (media_type := _TYPES.get(f".{place.name.rpartition('.')[2]}")) is not None:
            content = place.read_bytes()
            found[place.name] = PageFile(content, media_type, sha256(content).hexdigest()[:32])
    return found


def add_page(app: web.Application) -> None:
    """Answer for the page. It holds nothing that is secret, so it needs no token; what it asks for does."""
    answer = add_files(app, PATH, "limner.server", "page")
    app.router.add_get(RUN_PATH, answer)


def add_files(app: web.Application, path: str, package: str, folder: str) -> Answer:
    """Answer for the files of a folder, below a path; what answers gives the index where no file is named."""
    found = read_files(package, folder)

    async def answer(request: web.Request) -> web.StreamResponse:
        file = found.get(request.match_info.get("name", INDEX))
        if file is None:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
        headers = {**_HEADERS, "ETag": f'"{file.tag}"'}
        if file.tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=file.content, content_type=file.media_type, charset="utf-8", headers=headers)

    app.router.add_get(path + "{name}", answer)
    return answer
