"""The files that jobs gave, by their content."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from aiohttp import web

from limner.server.clients import Client
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service
from limner.server.views import PICTURES

routes = Routes()


@routes.add(
    "GET",
    "/v1/artifacts/{sha256}",
    produces={HTTPStatus.OK: "*/*", HTTPStatus.PARTIAL_CONTENT: "*/*"},
    refusals=[HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE],
)
async def get_artifact(service: Service, client: Client, request: web.Request, sha256: str) -> web.StreamResponse:
    """A file that a job gave. It never changes, and may be kept for ever; parts of it can be asked for.

    PNG, JPEG and WebP are shown; anything else is only ever saved.
    """
    artifact = await service.aside(lambda: service.store.history.artifact(sha256, client.sees))
    if artifact is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no artifact {sha256}")
    if f'"{sha256}"' in request.headers.get("If-None-Match", ""):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=file_headers(artifact.name, sha256))
    return await artifact_response(service, request, artifact.name, sha256)


async def artifact_response(service: Service, request: web.Request, name: str, sha256: str) -> web.StreamResponse:
    """A file by its content, called ``name``. Raises Refused where it was forgotten."""
    return await file_response(service, request, service.store.blobs.path(sha256), file_headers(name, sha256))


async def file_response(
    service: Service, request: web.Request, path: Path, headers: Mapping[str, str]
) -> web.StreamResponse:
    """A file, or the part of it that is asked for. Raises Refused where it was forgotten."""
    try:
        size_bytes = (await service.aside(path.stat)).st_size
    except FileNotFoundError:
        raise Refused(HTTPStatus.GONE, "the file was deleted to make room") from None
    _check_range(request, size_bytes)
    return web.FileResponse(path, headers=headers)


def _check_range(request: web.Request, size_bytes: int) -> None:
    try:
        start = request.http_range.start
    except ValueError:
        start = size_bytes
    if start is not None and start >= size_bytes > 0:
        headers = {"Content-Range": f"bytes */{size_bytes}"}
        raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the file has {size_bytes} bytes", headers=headers)


def file_headers(name: str, sha256: str) -> dict[str, str]:
    """What lets no browser run a file, whatever it holds."""
    shown = PICTURES.get(PurePosixPath(name).suffix.lower())
    file_name = quote(PurePosixPath(name).name.encode(errors="replace"))
    how = "inline" if shown is not None else "attachment"
    return {
        "Content-Type": shown or "application/octet-stream",
        "Content-Disposition": f"{how}; filename*=UTF-8''{file_name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Limner-SHA256": sha256,
    }
