"""Who may ask: programs with a token, and no web page of others that a browser on this machine happens to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from limner.nodes._remote.address import address_of
from limner.server.clients import LOCAL, Client, Clients
from limner.server.cookie import token_in
from limner.server.editor.package import is_editor_file
from limner.server.page_files import PATH as PAGE_PATH
from limner.server.page_files import RUN_PATH

OPEN_PATHS: Final = ("/healthz", "/readyz", "/", RUN_PATH)
"""What a load balancer asks, without a token, which learns nothing but yes or no; and where a browser begins."""
LOG_IN: Final = ("POST", "/v1/session")
"""Where a token is shown."""


@dataclass(frozen=True)
class Guard:
    """What a request must show. ``is_local`` says that only this machine can connect and needs no token, so that
    names must be its own; behind a proxy, which has a name, clients need tokens.
    """

    is_local: bool
    clients: Clients | None = None
    """None where no token is asked for."""

    def check(self, request: web.Request) -> Client:
        """Who asks. Raises the HTTP error that refuses a request."""
        self._check_host(request)
        _check_origin(request)
        if is_open(request.method, request.path):
            return LOCAL
        if (client := self._client(request)) is None:
            raise web.HTTPUnauthorized(text="a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        return client

    def knows(self, request: web.Request) -> bool:
        """Whether a request shows a token, where one is needed."""
        return self._client(request) is not None

    def _client(self, request: web.Request) -> Client | None:
        if self.clients is None:
            return LOCAL
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        shown = token.strip() if kind.lower() == "bearer" else token_in(request)
        return None if shown is None else self.clients.find(shown)

    def _check_host(self, request: web.Request) -> None:
        """A name of an attacker may lead to 127.0.0.1 (DNS rebinding): only the machine's own names are answered."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or (self.is_local and not is_local_name(hosts[0])):
            raise web.HTTPMisdirectedRequest(text="this service answers to localhost and loopback addresses only")


def is_open(method: str, path: str) -> bool:
    """Whether no token is needed: for being alive, for page and editor, whose files hold nothing, for logging in."""
    return path in OPEN_PATHS or path.startswith(PAGE_PATH) or (method, path) == LOG_IN or is_editor_file(path)


def _check_origin(request: web.Request) -> None:
    """Browsers name the page that asks. Only our own may."""
    own = {f"{scheme}://{request.headers.get('Host', '')}" for scheme in ("http", "https")}
    if any(origin not in own for origin in request.headers.getall("Origin", [])):
        raise web.HTTPForbidden(text="web pages of others may not ask")


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
