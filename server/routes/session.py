"""Who asks: programs say it with every request, the page once."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.server.clients import LOCAL, Client
from limner.server.cookie import drop_token, put_token
from limner.server.editor.package import editor_folder
from limner.server.problem import Refused
from limner.server.route import Routes, json_response
from limner.server.service import Service

routes = Routes()


class Credentials(BaseModel):
    """What a client shows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str = Field(min_length=1, max_length=4096)


class SessionView(BaseModel):
    """Who asks."""

    client: str
    is_admin: bool = Field(description="Whether it sees and steers the jobs of all, and the queue.")
    has_token: bool = Field(description="Whether this server asks for tokens.")
    has_editor: bool = Field(description="Whether the node editor is installed; it is at / then.")


@routes.add("GET", "/v1/session")
async def get_session(service: Service, client: Client) -> SessionView:
    """Who you are."""
    return _view(client, service)


@routes.add("POST", "/v1/session")
async def log_in(
    service: Service, request: web.Request, body: Credentials
) -> Annotated[web.StreamResponse, SessionView]:
    """Show a token once, and have the browser keep it: in a cookie that no script reads. Needs no token itself."""
    clients = service.guard.clients
    client = LOCAL if clients is None else clients.find(body.token)
    if client is None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "no client has this token", headers={"WWW-Authenticate": "Bearer"})
    response = json_response(_view(client, service))
    if clients is not None:
        put_token(request, response, body.token)
    return response


@routes.add("POST", "/v1/session/end")
async def log_out(request: web.Request) -> web.StreamResponse:
    """Have the browser forget the token."""
    return drop_token(request)


def _view(client: Client, service: Service) -> SessionView:
    return SessionView(
        client=client.name,
        is_admin=client.is_admin,
        has_token=service.guard.clients is not None,
        has_editor=editor_folder() is not None,
    )
