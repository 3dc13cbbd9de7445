"""Pictures: bringing them, and looking at what jobs gave and clients brought."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel

from limner.server.clients import Client
from limner.server.comfy.form import FileForm, read_form
from limner.server.comfy.outputs import placed
from limner.server.comfy.own_pictures import plain_name
from limner.server.comfy.pixels import Channel, one_channel, smaller, with_mask
from limner.server.comfy.said import ANYTHING
from limner.server.jobs.errors import UnknownJobError
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.routes.artifacts import file_headers, file_response
from limner.server.service import Service

routes = Routes()

_KINDS: Final = ("input", "output", "temp")
_AGAIN: Final = {"Cache-Control": "private, no-cache"}
"""A name may come to mean another picture."""


class ViewQuery(BaseModel):
    """Which file, and how."""

    filename: str
    subfolder: str = ""
    type: Literal["input", "output", "temp"] = "output"
    channel: Channel = "rgba"
    preview: str | None = None


@routes.add("GET", "/view")
async def view_file(service: Service, client: Client, request: web.Request, query: ViewQuery) -> web.StreamResponse:
    """A file that a job gave, or a picture that the client brought. Only pictures are shown, anything else is saved."""
    found = await service.aside(partial(_find, service, client, query.filename, query.subfolder))
    if query.preview is None and query.channel == "rgba":
        headers = file_headers(found.name, found.sha256) | _AGAIN
        if f'"{found.sha256}"' in request.headers.get("If-None-Match", ""):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return await file_response(service, request, found.path, headers)
    async with service.comfy.changing_pictures:
        body, name = await service.compute(partial(_changed, query, found))
    return web.Response(body=body, headers=file_headers(name, sha256(body).hexdigest()) | _AGAIN)


@dataclass(frozen=True)
class _Found:
    """A file, what it is called, and what it holds."""

    name: str
    path: Path
    sha256: str


def _find(service: Service, client: Client, filename: str, subfolder: str) -> _Found:
    """The file that a client means. Raises Refused."""
    found = _given(service, client, filename, subfolder) or _brought(service, client, filename, subfolder)
    if found is None or not found.path.is_file():
        raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
    return found


def _given(service: Service, client: Client, filename: str, subfolder: str) -> _Found | None:
    """A file that a job gave."""
    place = placed(filename, subfolder)
    if place is None:
        return None
    try:
        files = service.store.history.artifacts(place[0], client.sees)
    except UnknownJobError:
        return None
    found = next((file for file in files if file.name == place[1]), None)
    return None if found is None else _Found(found.name, service.store.blobs.path(found.sha256), found.sha256)


def _brought(service: Service, client: Client, filename: str, subfolder: str) -> _Found | None:
    """A picture of the client, under its name or under the one that graphs have for it."""
    name = plain_name(f"{subfolder.strip('/')}/{filename}".removeprefix("/"))
    path = service.comfy.pictures(client).find(name)
    return None if path is None else _Found(PurePosixPath(name).stem + path.suffix, path, path.stem)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Refused(HTTPStatus.NOT_FOUND, "there is no such file") from None


def _changed(query: ViewQuery, found: _Found) -> tuple[bytes, str]:
    """A picture as it was asked for, and its name with the ending of what it is then. Raises InputError."""
    content = _read(found.path)
    body, suffix = (
        smaller(content, query.preview) if query.preview is not None else (one_channel(content, query.channel), ".png")
    )
    return body, PurePosixPath(found.name).stem + suffix


@routes.add("GET", "/internal/files/{folder}")
async def list_pictures(service: Service, client: Client, folder: str) -> web.StreamResponse:
    """The names of the pictures that the client brought; what jobs gave is in their lists."""
    pictures = service.comfy.pictures(client)
    return web.json_response(await service.aside(pictures.names) if folder == "input" else [])


@routes.add("POST", "/upload/image", takes=ANYTHING)
async def upload_image(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Take a picture under a name: it is told apart by its content, and only PNG, JPEG and WebP are taken."""
    form = await read_form(service, request)
    return await _keep(service, client, form, form.content)


@routes.add("POST", "/upload/mask", takes=ANYTHING)
async def upload_mask(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Take a picture's transparency: what is kept is the picture that ``original_ref`` names, with it."""
    form = await read_form(service, request)
    filename, subfolder = _reference(form.fields.get("original_ref", ""))
    found = await service.aside(partial(_find, service, client, filename, subfolder))
    async with service.comfy.changing_pictures:
        content = await service.compute(lambda: with_mask(_read(found.path), form.content))
    return await _keep(service, client, form, content)


def _reference(text: str) -> tuple[str, str]:
    try:
        found: Any = json.loads(text)
        filename, subfolder = found["filename"], found.get("subfolder", "")
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise Refused(HTTPStatus.BAD_REQUEST, "original_ref is JSON with a filename") from None
    if not isinstance(filename, str) or not isinstance(subfolder, str):
        raise Refused(HTTPStatus.BAD_REQUEST, "original_ref has texts only")
    return filename, subfolder


async def _keep(service: Service, client: Client, form: FileForm, content: bytes) -> web.StreamResponse:
    kind = form.fields.get("type") or "input"
    if kind not in _KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"type is one of {', '.join(_KINDS)}")
    taken = await service.compute(lambda: service.uploads.put(content))
    base = PurePosixPath(form.filename.replace("\\", "/")).name or PurePosixPath(taken.file).name
    subfolder = form.fields.get("subfolder", "").strip("/")
    overwrite = form.fields.get("overwrite", "").lower() in ("true", "1")
    wanted = f"{subfolder}/{base}" if subfolder else base
    pictures = service.comfy.pictures(client)
    name = await service.aside(lambda: pictures.put(wanted, taken, overwrite=overwrite))
    return web.json_response({"name": PurePosixPath(name).name, "subfolder": subfolder, "type": kind})
