"""What happens to jobs, as it happens: over a WebSocket for many jobs and previews, as server-sent events for one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from limner.engine.errors import GraphError, LimnerError
from limner.server.body import parse_json
from limner.server.clients import Client
from limner.server.follower import Follower, Told
from limner.server.jobs.errors import UnknownJobError
from limner.server.jobs.job import FINAL
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()

STALLED_S: Final = 30.0
"""How long a client may leave what it is sent unread. It is then let go: when it comes back it gets what it missed."""
PING_S: Final = 20.0
MAX_COMMAND_BYTES: Final = 64 << 10
_SEQ_LIMIT: Final = 2**53


class Follow(BaseModel):
    """Tell of a job: of what came after its event ``after``, and then of what comes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    do: Literal["follow"]
    job: str = Field(pattern="^[0-9a-f]{32}$")
    after: int = Field(default=0, ge=0, lt=_SEQ_LIMIT)


class Unfollow(BaseModel):
    """Tell no more of a job."""

    model_config = ConfigDict(extra="forbid", strict=True)

    do: Literal["unfollow"]
    job: str = Field(pattern="^[0-9a-f]{32}$")


class WatchLists(BaseModel):
    """Tell of every job that changes, as lists show it, from now on; and whether the whole queue is paused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    do: Literal["lists"]
    on: bool = True


Command = Annotated[Follow | Unfollow | WatchLists, Field(discriminator="do")]
_COMMAND: Final[TypeAdapter[Follow | Unfollow | WatchLists]] = TypeAdapter(Command)


class AfterQuery(BaseModel):
    """From where on."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, lt=_SEQ_LIMIT, description="The number of the last event that is known.")


class AfterHeaders(BaseModel):
    """The same, as browsers say it when they connect again."""

    last_event_id: int | None = Field(default=None, ge=0, lt=_SEQ_LIMIT, alias="Last-Event-ID")


@routes.add(
    "GET",
    "/v1/events",
    status=HTTPStatus.SWITCHING_PROTOCOLS,
    refusals=[HTTPStatus.UPGRADE_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS],
)
async def follow_jobs(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Events of any number of jobs over a WebSocket. What is said to it, and what it says, is in docs/server.md."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket", headers={"Upgrade": "websocket"})
    with service.following(client):
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MAX_COMMAND_BYTES, compress=False)
        await socket.prepare(request)
        service.sockets.add(socket)
        follower = Follower(client)
        with service.feed.joined(follower):
            sending = asyncio.ensure_future(_send(service, follower, request, socket))
            try:
                with answered(request):
                    await _hear(service, follower, socket)
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await sending
        return socket


async def _hear(service: Service, follower: Follower, socket: web.WebSocketResponse) -> None:
    """Do what the client says until it goes."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            await socket.close(code=1003, message=b"send JSON texts")
            return
        try:
            command = _COMMAND.validate_python(parse_json(message.data))
            await _obey(service, follower, command)
        except Refused as error:
            await _say(socket, {"type": "problem", "detail": error.detail})
        except UnknownJobError as error:
            await _say(socket, {"type": "problem", "detail": error.message})
        except (ValidationError, GraphError):
            detail = 'send {"do": "follow", "job": ID, "after": 0}, {"do": "unfollow", "job": ID} or {"do": "lists"}'
            await _say(socket, {"type": "problem", "detail": detail})


async def _obey(service: Service, follower: Follower, command: Follow | Unfollow | WatchLists) -> None:
    match command:
        case Follow(job=job_id, after=after):
            if len(follower.cursors) >= service.limits.followed and job_id not in follower.cursors:
                message = f"a connection follows at most {service.limits.followed} jobs"
                raise Refused(HTTPStatus.TOO_MANY_REQUESTS, message)
            await service.feed.follow(follower, job_id, after)
        case Unfollow(job=job_id):
            service.feed.unfollow(follower, job_id)
        case WatchLists(on=on):
            service.feed.watch_lists(follower, on=on)


async def _send(service: Service, follower: Follower, request: web.Request, socket: web.WebSocketResponse) -> None:
    """Give the client what is new, as fast as it reads and no faster."""
    try:
        while True:
            for told in await service.feed.next(follower):
                async with asyncio.timeout(STALLED_S):
                    if told.picture is not None:
                        await socket.send_bytes(frame(told))
                    else:
                        await socket.send_str(as_text(told))
    except (TimeoutError, LimnerError):
        let_go(request)


def as_text(told: Told) -> str:
    """A message of the WebSocket."""
    match told.kind:
        case "resync":
            return '{"type":"resync"}'
        case "queue":
            return f'{{"type":"queue",{told.body[1:]}'
        case "gone":
            return f'{{"type":"gone","job":"{told.job}"}}'
        case "job":
            return f'{{"type":"job","job":{told.body}}}'
        case "step":
            return f'{{"type":"step","job":"{told.job}",{told.body[1:]}'
    return f'{{"type":"event","job":"{told.job}","seq":{told.seq},{told.body[1:]}'


def frame(told: Told) -> bytes:
    """A preview: the length of a JSON text in four bytes, that text, and the picture."""
    head = f'{{"type":"preview","job":"{told.job}",{told.body[1:]}'.encode()
    return len(head).to_bytes(4, "big") + head + (told.picture or b"")


async def _say(socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
    async with asyncio.timeout(STALLED_S):
        await socket.send_str(json.dumps(said))


@routes.add(
    "GET",
    "/v1/jobs/{job_id}/events",
    produces={HTTPStatus.OK: "text/event-stream"},
    refusals=[HTTPStatus.TOO_MANY_REQUESTS],
)
async def follow_job(
    service: Service, client: Client, request: web.Request, job_id: str, query: AfterQuery, headers: AfterHeaders
) -> web.StreamResponse:
    """Events of one job, until it has ended. Each has its number as ``id``: an interrupted stream goes on from there.

    When there is nothing more to come the answer is 204.
    """
    after = query.after if headers.last_event_id is None else headers.last_event_id
    follower = Follower(client)
    with service.following(client), service.feed.joined(follower):
        job = await service.feed.follow(follower, job_id, after)
        if job.state in FINAL and after >= job.last_seq:
            return web.Response(status=HTTPStatus.NO_CONTENT)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await stream.prepare(request)
        try:
            await _stream(service, follower, job_id, stream)
        except (TimeoutError, LimnerError):
            let_go(request)
        return stream


async def _stream(service: Service, follower: Follower, job_id: str, stream: web.StreamResponse) -> None:
    """Write events until the last one of a job that has ended."""
    while True:
        try:
            async with asyncio.timeout(PING_S):
                news = await service.feed.next(follower)
        except TimeoutError:
            news = []
        text = "".join(_as_event(told) for told in news if told.picture is None) or ": still here\n\n"
        async with asyncio.timeout(STALLED_S):
            await stream.write(text.encode())
        if any(told.kind in ("finished", "gone") for told in news):
            job = await service.aside(lambda: service.store.history.some([job_id]))
            if not job or (job[0].state in FINAL and follower.cursors.get(job_id, 0) >= job[0].last_seq):
                return


def _as_event(told: Told) -> str:
    number = f"id: {told.seq}\n" if told.seq is not None else ""
    return f"{number}event: {told.kind}\ndata: {told.body}\n\n"


def let_go(request: web.Request) -> None:
    """Cut a connection whose client reads no more, or cannot be told more."""
    if request.transport is not None:
        request.transport.abort()


@contextmanager
def answered(request: web.Request) -> Iterator[None]:
    """Within, a client is answered as it speaks: one that goes meanwhile is no failure, one that reads nothing goes."""
    try:
        yield
    except ConnectionError:
        return
    except (TimeoutError, LimnerError):
        let_go(request)
