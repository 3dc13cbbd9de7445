"""Reading what clients of the protocol send: JSON, which many call something else, as browsers and urllib do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from limner.server.body import MAX_JSON_BYTES, parsed, read_content
from limner.server.problem import Refused
from limner.server.service import Service

ANYTHING: Final = "*/*"
"""What such a route takes."""
MAX_TEXTS: Final = 1000
"""Entries of a list."""


async def read_said(service: Service, request: web.Request) -> dict[str, Any]:
    """The JSON object that a request holds; an empty one where it holds nothing. Raises Refused."""
    said = await read_json_said(service, request)
    if not isinstance(said, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "send a JSON object")
    return said


async def read_json_said(service: Service, request: web.Request) -> Any:
    """The JSON that a request holds; an empty object where it holds nothing. Raises Refused."""
    refuse_other_sites(request)
    return await parsed(service, await read_content(service, request, MAX_JSON_BYTES))


def refuse_other_sites(request: web.Request) -> None:
    """Raise Refused for what a page of others sends: it could, unasked, as long as it calls it no JSON.

    Browsers say whose page it is: in ``Origin``, which the guard has looked at, and in ``Sec-Fetch-Site``.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Refused(HTTPStatus.FORBIDDEN, "web pages of others may not ask")


def texts_in(said: dict[str, Any], name: str) -> list[str]:
    """A list of texts, such as ids. Raises Refused."""
    found = said.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is a list of texts")
    if len(found) > MAX_TEXTS:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{name} has at most {MAX_TEXTS} entries")
    return found
