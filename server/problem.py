"""What is answered where something is wrong: one form for all of it (RFC 9457), with every fault at its place."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field

from limner.engine.errors import Fault, GraphError, InputError, LimnerError, StoreError
from limner.server.jobs.errors import JobStateError, UnknownJobError

MEDIA_TYPE: Final = "application/problem+json"
MAX_FAULTS: Final = 1000
_MAX_TEXT: Final = 2000
_KEPT: Final = ("Allow", "Retry-After", "WWW-Authenticate", "Content-Range")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_log = logging.getLogger("limner.server")


class FaultView(BaseModel):
    """One thing that is wrong."""

    path: list[str | int] = Field(description="Where: of a graph, as in its file.")
    message: str
    hint: str | None = Field(default=None, description="What to try.")


class Problem(BaseModel):
    """Why a request was refused, or failed."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    hint: str | None = Field(default=None, description="What to try.")
    faults: list[FaultView] = Field(default=[], description="Of a graph or a request: everything that is wrong.")


class Refused(Exception):
    """A request is not granted."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.headers = dict(headers or {})


def answer_to(error: Exception, request_id: str) -> web.Response:
    """What a client is told of an error. Of one that nobody foresaw it hears nothing but that there was one.

    ``request_id`` is what the log calls the request.
    """
    match error:
        case Refused():
            return problem(error.status, error.detail, hint=error.hint, headers=error.headers)
        case web.HTTPRequestEntityTooLarge():
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        case web.HTTPNotFound():
            hint = "GET /openapi.json lists what there is"
            return problem(HTTPStatus.NOT_FOUND, "there is nothing at this address", hint=hint)
        case web.HTTPMethodNotAllowed():
            detail = f"there is no {error.method} of this address"
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": error.headers["Allow"]})
        case web.RequestPayloadError():  # chunks or a compression that are broken
            return problem(HTTPStatus.BAD_REQUEST, "the body cannot be read")
        case web.HTTPException():
            kept = {name: value for name, value in error.headers.items() if name in _KEPT}
            text = (error.text or error.reason).removeprefix(f"{error.status}: ")
            return problem(HTTPStatus(error.status), text, headers=kept)
        case GraphError():
            count = len(error.faults)
            detail = str(error.faults[0]) if count == 1 else f"{count} faults"
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults=error.faults)
        case UnknownJobError():
            return problem(HTTPStatus.NOT_FOUND, error.message)
        case JobStateError():
            return problem(HTTPStatus.CONFLICT, error.message, hint=error.hint)
        case InputError():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, hint=error.hint)
        case StoreError():
            _log.error("%s", error, extra={"request": request_id})
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "the store of jobs cannot be used now: the server's log says why"
            )
        case LimnerError():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, hint=error.hint)
        case OSError() if error.errno in _FULL:
            _log.error("the disk is full: %s", error, extra={"request": request_id})
            return problem(HTTPStatus.INSUFFICIENT_STORAGE, "the disk of the server is full")
        case TimeoutError():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "this took too long", headers={"Retry-After": "2"})
    _log.error("a request failed", exc_info=error, extra={"request": request_id})
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed: its log says why")


def problem(
    status: HTTPStatus,
    detail: str,
    *,
    hint: str | None = None,
    faults: Iterable[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An answer that says what is wrong."""
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail[:_MAX_TEXT]}
    if hint is not None:
        body["hint"] = hint[:_MAX_TEXT]
    if views := fault_views(faults):
        body["faults"] = views
    text = json.dumps(body, ensure_ascii=True)  # half characters of a request can be said, too
    return web.Response(text=text, status=status, content_type=MEDIA_TYPE, headers=headers)


def fault_views(faults: Iterable[Fault]) -> list[dict[str, object]]:
    """Faults as JSON can hold them; of very many the first."""
    first = list(faults)[:MAX_FAULTS]
    return [
        {"path": list(fault.path), "message": fault.message[:_MAX_TEXT], **({"hint": fault.hint} if fault.hint else {})}
        for fault in first
    ]
