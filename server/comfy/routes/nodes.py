"""The node types, as the protocol describes them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from limner.comfy.class_info import class_info
from limner.server.clients import Client
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


@routes.add("GET", "/object_info")
async def list_classes(service: Service, client: Client) -> web.StreamResponse:
    """All classes, with what this machine has now for their inputs."""
    return web.json_response(await service.compute(lambda: _described(service, client, service.comfy.classes)))


@routes.add("GET", "/object_info/{class_name}")
async def get_class(service: Service, client: Client, class_name: str) -> web.StreamResponse:
    """One class; none where there is no such."""
    wanted = [class_name] if class_name in service.comfy.classes else []
    return web.json_response(await service.compute(lambda: _described(service, client, wanted)))


def _described(service: Service, client: Client, names: Any) -> dict[str, Any]:
    here = service.comfy.here(client)
    classes = service.comfy.classes
    return {name: class_info(classes[name], classes, here) for name in names}
