"""Who may ask: programs with the token, and no web page that a browser on this machine happens to show."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import SecretStr

from limner.nodes._remote.address import address_of

OPEN_PATHS = ("/healthz", "/readyz")
"""What a load balancer asks, without a token; it learns nothing but yes or no."""


@dataclass(frozen=True)
class Guard:
    """What a request must show. ``is_local`` says that only this machine can connect, so names must be its own."""

    is_local: bool
    token: SecretStr | None = None

    def check(self, request: web.Request) -> None:
        """Raise the HTTP error that refuses a request, or nothing."""
        self._check_host(request)
        _check_origin(request)
        if self.token is not None and request.path not in OPEN_PATHS:
            self._check_token(request, self.token)

    def _check_host(self, request: web.Request) -> None:
        """A name of an attacker may lead to 127.0.0.1 (DNS rebinding): only the machine's own names are answered."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or (self.is_local and not is_local_name(hosts[0])):
            raise web.HTTPMisdirectedRequest(text="this service answers to localhost and loopback addresses only")

    def _check_token(self, request: web.Request, token: SecretStr) -> None:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not _is_equal(given.strip(), token.get_secret_value()):
            raise web.HTTPUnauthorized(text="a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})


def _check_origin(request: web.Request) -> None:
    """Browsers name the page that asks. This service has no pages, so none but itself may."""
    own = {f"{scheme}://{request.headers.get('Host', '')}" for scheme in ("http", "https")}
    if any(origin not in own for origin in request.headers.getall("Origin", [])):
        raise web.HTTPForbidden(text="web pages may not ask")


def is_local_name(host: str) -> bool:
    """Whether a ``Host`` header names this machine: ``localhost:8765``, ``127.0.0.1``, ``[::1]:80``."""
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.netloc != host or "@" in host:
        return False
    address = address_of(name)
    return address.is_loopback if address is not None else name == "localhost"


def _is_equal(given: str, token: str) -> bool:
    """Compare in a time that tells nothing, not even the length."""
    return hmac.compare_digest(*(hashlib.sha256(text.encode(errors="replace")).digest() for text in (given, token)))
