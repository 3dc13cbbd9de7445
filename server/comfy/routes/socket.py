"""The socket of the protocol: who connects is told of the jobs queued under its ``clientId``, and of the queue."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from uuid import uuid4

from aiohttp import web
from pydantic import BaseModel, Field

from limner.engine.errors import LimnerError
from limner.server.clients import Client
from limner.server.comfy.hub import HUB
from limner.server.comfy.kept import MAX_LABEL
from limner.server.comfy.listener import Listener
from limner.server.follower import Follower
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.routes.events import MAX_COMMAND_BYTES, answered, let_go
from limner.server.service import Service

routes = Routes()


class SocketQuery(BaseModel):
    """Who connects."""

    client_id: str = Field(default="", alias="clientId", max_length=MAX_LABEL)


@routes.add(
    "GET",
    "/ws",
    status=HTTPStatus.SWITCHING_PROTOCOLS,
    refusals=[HTTPStatus.UPGRADE_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS],
)
async def follow_own_jobs(
    service: Service, client: Client, request: web.Request, query: SocketQuery
) -> web.StreamResponse:
    """The socket of ComfyUI's clients."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket", headers={"Upgrade": "websocket"})
    with service.following(client):
        socket = web.WebSocketResponse(autoping=False, max_msg_size=MAX_COMMAND_BYTES, compress=False)
        await socket.prepare(request)
        service.sockets.add(socket)
        follower = Follower(client, lists=True)
        listener = Listener(service, request.app[HUB], follower, query.client_id or uuid4().hex, socket)
        with service.feed.joined(follower):
            telling = asyncio.ensure_future(_until_stalled(listener, request))
            try:
                with answered(request):
                    await listener.hear()
            finally:
                telling.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await telling
        return socket


async def _until_stalled(listener: Listener, request: web.Request) -> None:
    """Tell the client what there is; let one go that reads nothing, is gone, or cannot be told more."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listener.tell_status())
            tasks.create_task(listener.tell_jobs())
            tasks.create_task(listener.line.keep())
    except* (TimeoutError, LimnerError, ConnectionError):
        let_go(request)
