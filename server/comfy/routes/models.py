"""The model files that workflows may name, by ComfyUI's folders."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from aiohttp import web

from limner.nodes.comfy.model_files import FOLDERS, Kind, names
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()

_KINDS: Final[dict[str, Kind]] = {folder: kind for kind, folders in FOLDERS.items() for folder in folders}


@routes.add("GET", "/models")
async def list_folders() -> web.StreamResponse:
    """The folders."""
    return web.json_response([folders[0] for folders in FOLDERS.values()])


@routes.add("GET", "/models/{folder}")
async def list_names(service: Service, folder: str) -> web.StreamResponse:
    """The names of one folder's models."""
    return web.json_response(await _names(service, folder))


@routes.add("GET", "/experiment/models")
async def describe_folders() -> web.StreamResponse:
    """The folders, without where they are."""
    return web.json_response([{"name": folders[0], "folders": []} for folders in FOLDERS.values()])


@routes.add("GET", "/experiment/models/{folder}")
async def describe_models(service: Service, folder: str) -> web.StreamResponse:
    """The models of one folder."""
    return web.json_response([{"name": name, "pathIndex": 0} for name in await _names(service, folder)])


async def _names(service: Service, folder: str) -> list[str]:
    if folder not in _KINDS:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no folder of models {folder!r}")
    return await service.aside(lambda: names(_KINDS[folder]))
