"""Reading what clients of the protocol send: JSON, which some call a form, as Python's urllib does unless told."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web

from limner.server.body import MAX_JSON_BYTES, parse_json, read_bytes
from limner.server.problem import Refused
from limner.server.service import Service


async def read_said(service: Service, request: web.Request) -> dict[str, Any]:
    """The JSON object that a request holds; an empty one where it holds nothing. Raises Refused.

    A browser says what it sends: what it calls no JSON comes from a page that was not asked whether it may.
    """
    if "Sec-Fetch-Site" in request.headers and request.content_type != "application/json" and request.can_read_body:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    async with service.large:
        content = await read_bytes(request, MAX_JSON_BYTES)
    said = parse_json(content) if content.strip() else {}
    if not isinstance(said, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "send a JSON object")
    return said


def texts_in(said: dict[str, Any], name: str) -> list[str]:
    """A list of texts, such as ids. Raises Refused."""
    found = said.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is a list of texts")
    return found
