"""What who runs the server asks."""

from __future__ import annotations

import time
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from limner.server.problem import Refused
from limner.server.prometheus import CONTENT_TYPE
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


class OpenAPI(BaseModel):
    """A description of an API, version 3.1."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    paths: dict[str, Any]


@routes.add("GET", "/healthz", produces={HTTPStatus.OK: "text/plain"})
async def is_alive() -> web.Response:
    """Whether the server answers. Needs no token."""
    return web.Response(text="alive\n")


@routes.add("GET", "/readyz", produces={HTTPStatus.OK: "text/plain"}, refusals=[HTTPStatus.SERVICE_UNAVAILABLE])
async def is_ready(service: Service) -> web.Response:
    """Whether jobs can be handed in and kept, which is tried by writing. Needs no token."""
    if not await service.readiness.is_ready():
        detail = "no job can be taken in now: the server's log says why"
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "5"})
    return web.Response(text="ready\n")


@routes.add("GET", "/metrics", produces={HTTPStatus.OK: "text/plain"}, needs_admin=True)
async def get_metrics(service: Service) -> web.Response:
    """What the server counts, for Prometheus."""
    standing = await service.aside(service.store.history.standing)
    text = service.metrics.text(
        standing,
        [model for models in service.models.values() for model in models],
        now=time.time(),
        followers=service.followers,
        dropped_previews=service.feed.dropped_previews,
    )
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


@routes.add("GET", "/openapi.json")
async def get_openapi() -> OpenAPI:
    """What the API can do, in OpenAPI 3.1: what you read."""
    from limner.server.openapi import describe
    from limner.server.routes import ROUTES

    return OpenAPI.model_validate(describe(ROUTES, version("limner")))
