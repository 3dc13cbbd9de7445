"""The application: who asks is checked, routes answer, and whatever goes wrong is said in one form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Middleware

from limner.server.body import MAX_JSON_BYTES
from limner.server.clients import Client
from limner.server.comfy import routes as comfy_routes
from limner.server.comfy.hub import HUB, Hub
from limner.server.editor.extension_files import add_extension
from limner.server.editor.files import add_editor
from limner.server.page_files import add_page
from limner.server.problem import answer_to
from limner.server.request_log import CLIENT_WENT, REQUEST_ID, id_of, log_request
from limner.server.route import Route
from limner.server.routes import ROUTES
from limner.server.service import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CLIENT: Final = web.RequestKey("client", Client)
_HEADERS: Final = {
    "Server": "limner",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_DEFAULTS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_WITH_HEAD: Final = ("get_artifact", "view_file", "is_alive", "is_ready")
_MAY_LAST: Final = ("run_template", "follow_job", "follow_jobs", "follow_own_jobs", "get_artifact", "view_file")
"""Routes that keep time themselves, or whose answer takes as long as the client reads."""


def make_app(service: Service) -> web.Application:
    """The application of aiohttp."""
    app = web.Application(middlewares=[_answerer(service)], client_max_size=MAX_JSON_BYTES)
    for route in ROUTES:
        _add_route(app, service, route, route.aiohttp_path)
    app[HUB] = Hub(service)
    for route in comfy_routes.ROUTES:
        for prefix in ("", comfy_routes.PREFIX):
            _add_route(app, service, route, prefix + route.aiohttp_path)
    add_page(app)
    add_extension(app)
    add_editor(app, service.guard)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(lambda app: _close_sockets(service))
    return app


def _add_route(app: web.Application, service: Service, route: Route, path: str) -> None:
    resource = app.router.add_resource(path)
    for method in (route.method, "HEAD") if route.name in _WITH_HEAD else (route.method,):
        resource.add_route(method, _handler(service, route))


def _answerer(service: Service) -> Middleware:
    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check who asks, say what is wrong, count, and write into the log."""
        began, status = time.perf_counter(), CLIENT_WENT
        service.heard(request)
        request[REQUEST_ID] = request_id = id_of(request)
        try:
            try:
                request[_CLIENT] = service.guard.check(request)
                response = await handler(request)
            except Exception as error:
                response = answer_to(error, request_id)
            status = response.status
            return response
        finally:
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "other"
            seconds = time.perf_counter() - began
            service.metrics.answered(_known(request.method), route, status, seconds)
            client = request.get(_CLIENT)
            log_request(request, client.name if client is not None else None, status, seconds)

    return answer


def _handler(service: Service, route: Route) -> Handler:
    limit_s = None if route.name in _MAY_LAST else service.limits.request_s

    async def handle(request: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(limit_s):
            return await route.handle(service, request[_CLIENT], request)

    return handle


def _known(method: str) -> str:
    """A method as a label; what a client makes up is not counted by name."""
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers["X-Request-ID"] = request.get(REQUEST_ID, "")
    for name, value in _DEFAULTS.items():
        response.headers.setdefault(name, value)
    if (digest := response.headers.popall("Limner-SHA256", None)) is not None:
        response.headers["ETag"] = f'"{digest[0]}"'  # instead of the one that a file response makes from its time


async def _close_sockets(service: Service) -> None:
    for socket in list(service.sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")
