"""The token of a page's user, in a cookie that no script reads and that no page of others has sent along."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from aiohttp import web

KEPT_S: Final = 30 * 86400
_OWN: Final = ("same-origin", "none")


def token_in(request: web.Request) -> str | None:
    """The token that a browser sends for our page; None where it is another page that asks.

    The cookie is ``SameSite=Strict``. But other ports of a machine are the same site, so what the browser says of the
    page counts too; requests that change something and WebSockets name their origin besides, which the guard checks.
    """
    value = request.cookies.get(_name(request))
    if value is None or request.headers.get("Sec-Fetch-Site", "none") not in _OWN:
        return None
    try:
        return urlsafe_b64decode(value.encode("ascii")).decode()
    except ValueError:
        return None


def put_token(request: web.Request, response: web.Response, token: str) -> None:
    """Have the browser keep a token, and send it over HTTPS only where our page came that way."""
    response.set_cookie(
        _name(request),
        urlsafe_b64encode(token.encode()).decode(),
        max_age=KEPT_S,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.headers.get("Origin", "").startswith("https:"),
    )


def drop_token(request: web.Request) -> web.Response:
    """Have the browser forget it."""
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    response.del_cookie(_name(request), path="/", httponly=True, samesite="Strict")
    return response


def _name(request: web.Request) -> str:
    """Cookies do not know of ports: two servers of a machine would take each other's."""
    return f"limner-{sha256(request.headers.get('Host', '').encode(errors='replace')).hexdigest()[:12]}"
