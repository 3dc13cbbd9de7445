"""Reading a form with a file, as browsers and clients of the protocol send pictures: bounded, part by part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from limner.server.body import BODY_TIMEOUT_S, is_small
from limner.server.comfy.said import refuse_other_sites
from limner.server.problem import Refused
from limner.server.service import Service

MAX_PARTS: Final = 20
MAX_TEXT_BYTES: Final = 10_000
_BROKEN: Final = (HttpProcessingError, ValueError, LookupError, AssertionError, RuntimeError)
"""What the reader raises on broken forms."""
FILE: Final = "image"
"""The part that holds the file."""


@dataclass(frozen=True)
class FileForm:
    """What was sent."""

    content: bytes
    filename: str
    fields: Mapping[str, str]


async def read_form(service: Service, request: web.Request) -> FileForm:
    """The file and the other parts. Raises Refused."""
    refuse_other_sites(request)
    if request.content_type != "multipart/form-data":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send multipart/form-data with the file as {FILE}")
    try:
        async with nullcontext() if is_small(request) else service.large, asyncio.timeout(BODY_TIMEOUT_S):
            return await _read(await request.multipart(), service.limits.upload_bytes)
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the form did not arrive in time") from None
    except _BROKEN as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "the form cannot be read") from error


async def _read(reader: MultipartReader, limit: int) -> FileForm:
    content: bytes | None = None
    filename, fields = "", {}
    for _ in range(MAX_PARTS):
        part = await reader.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "each part of the form has a name")
        if part.name == FILE and content is None:
            content, filename = await _bytes(part, limit), part.filename or ""
        else:
            fields[part.name] = (await _bytes(part, MAX_TEXT_BYTES)).decode()
    else:
        raise Refused(HTTPStatus.BAD_REQUEST, f"a form has at most {MAX_PARTS} parts")
    if content is None:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the form has no file {FILE}")
    return FileForm(content, filename, fields)


async def _bytes(part: BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(1 << 16):
        content += chunk
        if len(content) > limit:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"this part has at most {limit} bytes")
    return bytes(content)
