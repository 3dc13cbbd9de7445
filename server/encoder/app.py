"""The routes of the encoder service, and what each answers."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from limner.nodes._remote.protocol import (
    ENCODE_PATH,
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    MODEL_PATH,
    EncodeRequest,
    EncoderModel,
    content_digest,
    error_body,
)
from limner.server.encoder.metrics import Metrics
from limner.server.encoder.model import Encoder
from limner.server.encoder.turns import TooManyWaitError, Turns
from limner.server.guard import Guard
from limner.server.prometheus import CONTENT_TYPE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_TIMEOUT_S: Final = 30.0
"""How long a request may take to arrive."""
RETRY_AFTER_S: Final = 2
_log = logging.getLogger("limner.server.encoder")


@dataclass
class Service:
    """The state of the service: the encoder, and the model once it is loaded. Used on the event loop only."""

    encoder: Encoder
    guard: Guard
    turns: Turns
    timeout_s: float
    model: EncoderModel | None = None
    metrics: Metrics = field(default_factory=Metrics)

    def app(self) -> web.Application:
        """The application of aiohttp."""
        app = web.Application(middlewares=[self._answer], client_max_size=MAX_REQUEST_BYTES)
        app.router.add_post(ENCODE_PATH, self._encode)
        app.router.add_get(MODEL_PATH, self._model)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        app.on_response_prepare.append(_add_headers)
        return app

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check who asks, say errors as JSON, and count."""
        try:
            self.guard.check(request)
            response = await handler(request)
        except web.HTTPException as error:
            response = _as_json(error)
        except Exception as error:
            _log.exception("a request failed")
            response = _error(500, f"the encoder failed: {type(error).__name__}")
        resource = request.match_info.route.resource
        self.metrics.requests[resource.canonical if resource is not None else "other", response.status] += 1
        return response

    async def _encode(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        model = self._loaded()
        wanted = await _read_request(request)
        size_bytes = model.answer_bytes(wanted)
        if size_bytes > MAX_ANSWER_BYTES:
            message = f"the answer would have {size_bytes} bytes, of at most {MAX_ANSWER_BYTES}: send fewer prompts"
            raise web.HTTPUnprocessableEntity(text=message)
        body, digest = await self._take_turn(wanted, model)
        self.metrics.encoded(len(wanted.prompts), len(body), time.perf_counter() - began)
        return web.Response(body=body, content_type="application/octet-stream", headers={"Content-Digest": digest})

    async def _take_turn(self, wanted: EncodeRequest, model: EncoderModel) -> tuple[bytes, str]:
        abandoned = threading.Event()

        def work() -> tuple[bytes, str]:
            body = self.encoder.answer(wanted, model, abandoned.is_set)
            return body, content_digest(body)

        try:
            async with asyncio.timeout(self.timeout_s):
                return await self.turns.take(work)
        except TooManyWaitError:
            raise web.HTTPTooManyRequests(text="too many requests wait already", headers=_retry_after()) from None
        except TimeoutError:
            message = f"this took longer than {self.timeout_s:g} s"
            raise web.HTTPServiceUnavailable(text=message, headers=_retry_after()) from None
        finally:
            abandoned.set()  # whoever still encodes for this request stops after the prompt at hand

    async def _model(self, request: web.Request) -> web.Response:
        return web.Response(text=self._loaded().model_dump_json(), content_type="application/json")

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _ready(self, request: web.Request) -> web.Response:
        self._loaded()
        return web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        identity = None if self.model is None else self.model.identity
        text = self.metrics.text(waiting=self.turns.waiting, model=identity)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    def _loaded(self) -> EncoderModel:
        if self.model is None:
            raise web.HTTPServiceUnavailable(text="the model is being loaded", headers=_retry_after())
        return self.model


async def _read_request(request: web.Request) -> EncodeRequest:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    if (request.content_length or 0) > MAX_REQUEST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_REQUEST_BYTES, request.content_length or 0)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the request did not arrive in time") from None
    try:
        return EncodeRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "json_invalid":
            raise web.HTTPBadRequest(text=f"this is no JSON: {first['msg']}") from None
        where = ".".join(map(str, first["loc"])) or "body"
        raise web.HTTPUnprocessableEntity(text=f"{where}: {first['msg']}") from None


def _as_json(error: web.HTTPException) -> web.Response:
    keep = {
        name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After", "WWW-Authenticate")
    }
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return _error(413, f"a request has at most {MAX_REQUEST_BYTES} bytes", keep)
    return _error(error.status, (error.text or error.reason).removeprefix(f"{error.status}: "), keep)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(error_body(status, message[:500]), status=status, headers=headers)


def _retry_after() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)}


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "limner"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
