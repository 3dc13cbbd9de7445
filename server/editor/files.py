"""The editor's files over HTTP, with the rule that its page asks nobody but this server."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from limner.server.editor.package import INDEX, editor_folder, files_in
from limner.server.guard import Guard
from limner.server.page_files import RUN_PATH
from limner.server.problem import Refused

LOG_IN: Final = f"{RUN_PATH}?then=editor"
"""Our own page asks for the token, and then leads back."""
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; media-src 'self' blob: data:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
"""It evaluates what it compiles, so scripts cannot be told apart; what counts is that they reach no other host."""
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""Not those of ``mimetypes``, which asks the system: some call scripts plain text, and browsers then refuse them."""
_HASHED: Final = "/assets/"
"""Where each file has its hash in its name."""


def add_editor(app: web.Application, guard: Guard) -> None:
    """Answer at ``/``, and for the editor's files where it is installed. They hold nothing that is secret, so they need
    no token; what they ask for does.
    """
    folder = editor_folder()

    async def begin(request: web.Request) -> web.StreamResponse:
        if folder is None:
            return _lead_to(RUN_PATH)
        if not guard.knows(request):
            return _lead_to(LOG_IN)
        return _answer(f"/{INDEX}", folder / INDEX)

    app.router.add_get("/", begin)
    if folder is None:
        return

    async def answer(request: web.Request) -> web.StreamResponse:
        path = files_in(folder).get(request.path)
        if path is None:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
        return _answer(request.path, path)

    for place in sorted(folder.iterdir()):
        if place.name != INDEX:
            app.router.add_get(f"/{place.name}/{{path:.+}}" if place.is_dir() else f"/{place.name}", answer)


def _lead_to(path: str) -> web.Response:
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": path})


def _answer(name: str, path: Path) -> web.StreamResponse:
    is_hashed = name.startswith(_HASHED)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_hashed else "no-cache",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Content-Type": _TYPES.get(path.suffix, "application/octet-stream"),
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return web.FileResponse(path, headers=headers)
