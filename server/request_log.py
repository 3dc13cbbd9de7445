"""The log of requests: who asked what, and what came of it. No query, no header and no body is in it."""

from __future__ import annotations

import logging
import re
from typing import Final
from uuid import uuid4

from aiohttp import web

REQUEST_ID: Final = web.RequestKey("id", str)
HEADER: Final = "X-Request-ID"
"""What a proxy in front calls the request; of one without, we make an id."""
CLIENT_WENT: Final = 499
"""The status of a request whose client did not wait for an answer, as nginx writes it."""
_GIVEN: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_QUIET: Final = ("/healthz", "/readyz", "/metrics")
"""What machines ask all the time."""
_MAX_PATH: Final = 200
_log = logging.getLogger("limner.server.requests")


def id_of(request: web.Request) -> str:
    """What the log and the answer call a request."""
    given = request.headers.get(HEADER, "")
    return given if _GIVEN.fullmatch(given) else uuid4().hex[:16]


def log_request(request: web.Request, client: str | None, status: int, seconds: float) -> None:
    """Write the line of a request that is over."""
    level = logging.WARNING if status >= 500 else logging.DEBUG if request.path in _QUIET else logging.INFO
    if not _log.isEnabledFor(level):
        return
    about = {
        "method": request.method[:16],
        "path": request.path[:_MAX_PATH],
        "status": status,
        "ms": round(seconds * 1e3),
        "client": client,
        "request": request[REQUEST_ID],
    }
    _log.log(level, "answered", extra=about)
