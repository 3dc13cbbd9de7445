"""What aiohttp says of requests that are no HTTP, without what was in them: that may be a token."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_log = logging.getLogger("limner.server.http")


def http_log() -> logging.Logger:
    """The log for aiohttp's own lines."""
    if _without_bytes not in _log.filters:
        _log.addFilter(_without_bytes)
    return _log


def _without_bytes(record: logging.LogRecord) -> bool:
    """A broken request is one line, as little as any other that is refused: whoever can connect makes such lines."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
        return True
    record.msg, record.args, record.exc_info = "a request that cannot be read was refused", (), None
    record.levelno, record.levelname = logging.INFO, "INFO"
    return _log.isEnabledFor(logging.INFO)
