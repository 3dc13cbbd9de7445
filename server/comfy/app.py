"""The routes of the protocol, put into the application of the server: each at its path, and below ``/api``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from limner.server.comfy import lists, socket, steering
from limner.server.comfy.hub import HUB, Hub
from limner.server.route import Route
from limner.server.service import Service

ROUTES: Final[tuple[Route, ...]] = (*socket.routes, *lists.routes, *steering.routes)
"""All of them. They are in no description of ours: the protocol is ComfyUI's."""


def add_protocol(
    app: web.Application,
    service: Service,
    handler: Callable[[Route], Callable[[web.Request], Awaitable[web.StreamResponse]]],
) -> None:
    """Answer the protocol's clients, too. ``handler`` makes what aiohttp calls of a route."""
    app[HUB] = Hub(service)
    for route in ROUTES:
        for prefix in ("", "/api"):
            app.router.add_route(route.method, prefix + route.aiohttp_path, handler(route))
