"""What the editor asks of itself: who uses it, its settings, what it loads besides its own files."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from limner.server.clients import Client
from limner.server.comfy.said import ANYTHING, read_json_said
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()

STYLE_NAME: Final = "user.css"
_STYLE: Final = b'[data-testid="login-button"] { display: none !important; }\n'
"""There is nobody to log in to: the editor's log-in is for a service of others."""


@routes.add("GET", "/users")
async def get_users() -> web.StreamResponse:
    """Where the editor keeps what is its user's: here, and there is one user for each token."""
    return web.json_response({"storage": "server", "migrated": True})


@routes.add("GET", "/settings")
async def get_settings(service: Service, client: Client) -> web.StreamResponse:
    """All settings."""
    return web.json_response(await service.aside(service.comfy.settings(client).all))


@routes.add("GET", "/settings/{setting_id}")
async def get_setting(service: Service, client: Client, setting_id: str) -> web.StreamResponse:
    """One setting; null where it was never set."""
    found = await service.aside(service.comfy.settings(client).all)
    return web.json_response(found.get(setting_id))


@routes.add("POST", "/settings", takes=ANYTHING)
async def set_settings(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Change some settings."""
    return await _change(service, client, await read_json_said(service, request))


@routes.add("POST", "/settings/{setting_id}", takes=ANYTHING)
async def set_setting(service: Service, client: Client, request: web.Request, setting_id: str) -> web.StreamResponse:
    """Change one setting."""
    return await _change(service, client, {setting_id: await read_json_said(service, request)})


async def _change(service: Service, client: Client, values: Any) -> web.StreamResponse:
    if not isinstance(values, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "settings are a JSON object")
    await service.aside(lambda: service.comfy.settings(client).change(values))
    return web.json_response({})


@routes.add("GET", "/extensions")
async def list_extensions(service: Service) -> web.StreamResponse:
    """The scripts that the editor loads."""
    return web.json_response(service.comfy.extensions)


@routes.add("GET", "/user.css")
async def get_style(service: Service, client: Client) -> web.StreamResponse:
    """What the editor looks like besides its own."""
    return await style_of(service, client)


async def style_of(service: Service, client: Client) -> web.Response:
    """Ours, and what the client keeps under this name."""
    files = service.comfy.files(client)
    own = await service.aside(lambda: files.read(STYLE_NAME) if files.has(STYLE_NAME) else b"")
    return web.Response(body=_STYLE + own, content_type="text/css", headers={"Cache-Control": "no-cache"})


@routes.add("GET", "/i18n")
async def get_translations() -> web.StreamResponse:
    """Texts of extensions in other languages: none."""
    return web.json_response({})


@routes.add("GET", "/workflow_templates")
async def list_templates_of_extensions() -> web.StreamResponse:
    """Templates that extensions bring: none. Ours are at ``/templates``."""
    return web.json_response({})


@routes.add("GET", "/global_subgraphs")
async def list_subgraphs() -> web.StreamResponse:
    """Subgraphs that extensions bring: none."""
    return web.json_response({})
