"""The files that clients keep: lists, reading, writing, moving, deleting."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from limner.server.body import read_content
from limner.server.clients import Client
from limner.server.comfy.own_files import MAX_FILE_BYTES
from limner.server.comfy.routes.editor import STYLE_NAME, style_of
from limner.server.comfy.said import ANYTHING, refuse_other_sites
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()

_SAFE: Final = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "no-cache"}


class ListQuery(BaseModel):
    """Which files, and how much of them."""

    dir: str = ""
    recurse: bool = False
    full_info: bool = False
    split: bool = False


class FolderQuery(BaseModel):
    """Which folder."""

    path: str = ""


class WriteQuery(BaseModel):
    """Whether a file of this name may be replaced, and how much is told."""

    overwrite: bool = True
    full_info: bool = False


@routes.add("GET", "/userdata")
async def list_files(service: Service, client: Client, query: ListQuery) -> web.StreamResponse:
    """The files of a folder."""
    if not query.dir:
        raise Refused(HTTPStatus.BAD_REQUEST, "dir is required")
    files = service.comfy.files(client)

    def work() -> list[object]:
        names = files.names(query.dir, deep=query.recurse)
        if query.full_info:
            return [files.about(f"{query.dir.rstrip('/')}/{name}") | {"path": name} for name in names]
        return [[name, *name.split("/")] for name in names] if query.split else list(names)

    return web.json_response(await service.aside(work))


@routes.add("GET", "/v2/userdata")
async def list_folder(service: Service, client: Client, query: FolderQuery) -> web.StreamResponse:
    """Files and folders in a folder."""
    return web.json_response(await service.aside(lambda: service.comfy.files(client).entries(query.path)))


@routes.add("GET", "/userdata/{user_file}")
async def read_file(service: Service, client: Client, user_file: str) -> web.StreamResponse:
    """A file."""
    if user_file == STYLE_NAME:
        return await style_of(service, client)
    content = await service.aside(lambda: service.comfy.files(client).read(user_file))
    is_json = PurePosixPath(user_file).suffix == ".json"
    kind = "application/json" if is_json else "application/octet-stream"
    headers = _SAFE if is_json else _SAFE | {"Content-Disposition": "attachment"}
    return web.Response(body=content, content_type=kind, headers=headers)


@routes.add("POST", "/userdata/{user_file}", takes=ANYTHING)
async def write_file(
    service: Service, client: Client, request: web.Request, query: WriteQuery, user_file: str
) -> web.StreamResponse:
    """Keep a file: the body is its content."""
    refuse_other_sites(request)
    content = await read_content(service, request, MAX_FILE_BYTES)
    files = service.comfy.files(client)
    await service.aside(lambda: files.write(user_file, content, overwrite=query.overwrite))
    return await _told(service, client, user_file, query)


@routes.add("DELETE", "/userdata/{user_file}")
async def delete_file(service: Service, client: Client, user_file: str) -> None:
    """Forget a file."""
    await service.aside(lambda: service.comfy.files(client).delete(user_file))


@routes.add("POST", "/userdata/{user_file}/move/{destination}", takes=ANYTHING)
async def move_file(
    service: Service, client: Client, request: web.Request, query: WriteQuery, user_file: str, destination: str
) -> web.StreamResponse:
    """Give a file another name."""
    refuse_other_sites(request)
    files = service.comfy.files(client)
    await service.aside(lambda: files.move(user_file, destination, overwrite=query.overwrite))
    return await _told(service, client, destination, query)


async def _told(service: Service, client: Client, name: str, query: WriteQuery) -> web.StreamResponse:
    if not query.full_info:
        return web.json_response(name)
    return web.json_response(await service.aside(lambda: service.comfy.files(client).about(name)))
