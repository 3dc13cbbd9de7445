"""Reading what a client sends: bounded in bytes, time, depth and numbers, and every fault of it at once."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from limner.engine.document import plain_json, read_json, shape_fault
from limner.engine.errors import Fault, GraphError
from limner.engine.findings import Findings
from limner.server.problem import Refused

if TYPE_CHECKING:
    from limner.server.service import Service

M = TypeVar("M", bound=BaseModel)

MAX_JSON_BYTES: Final = 16 << 20
_OF_FORMS: Final = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""What a page of others can send without being asked whether it may."""
_SMALL_BYTES: Final = 1 << 18
BODY_TIMEOUT_S: Final = 30.0
"""How long a body may take to arrive."""


async def read_body(service: Service, request: web.Request) -> Any:
    """The JSON that a request holds; an empty object where it holds nothing. Raises Refused."""
    if request.content_type in _OF_FORMS or (request.can_read_body and request.content_type != "application/json"):
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    return await parsed(service, await read_content(service, request, MAX_JSON_BYTES))


async def read_content(service: Service, request: web.Request, limit: int) -> bytes:
    """The whole body; few large ones are read at a time, and small ones wait for none. Raises Refused."""
    async with nullcontext() if is_small(request) else service.large:
        return await read_bytes(request, limit)


async def parsed(service: Service, content: bytes) -> Any:
    """The JSON of a body, as ``parse_json`` gives it; a large one is parsed in a thread. An empty body is ``{}``."""
    if not content.strip():
        return {}
    return parse_json(content) if len(content) <= _SMALL_BYTES else await service.compute(lambda: parse_json(content))


def is_small(request: web.Request) -> bool:
    """Whether a request says that its body is small."""
    length = request.content_length
    return length is not None and length <= _SMALL_BYTES and "Content-Encoding" not in request.headers


async def read_bytes(request: web.Request, limit: int) -> bytes:
    """The whole body. Raises Refused where it is too large, or does not come in time."""
    if (request.content_length or 0) > limit:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {limit} bytes")
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                content += chunk
                if len(content) > limit:
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {limit} bytes")
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None
    except web.HTTPException:
        raise
    except (ValueError, web.RequestPayloadError) as error:  # a chunked or compressed body that is broken
        raise Refused(HTTPStatus.BAD_REQUEST, "the body cannot be read") from error
    return bytes(content)


def parse_json(content: bytes | str) -> Any:
    """Strict JSON, not deep, without numbers that nobody means. Raises Refused."""
    try:
        return plain_json(read_json(content))
    except GraphError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, error.faults[0].message, hint=error.faults[0].hint) from None
    except UnicodeError:
        raise Refused(HTTPStatus.BAD_REQUEST, "the JSON holds half a character, which is no Unicode text") from None
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the JSON {error}") from None


def read_model(model: type[M], raw: Any) -> M:
    """What JSON or a parsed body says, as a value. Raises GraphError with every fault."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise GraphError(_faults(error, model, "body")) from None


def read_strings(model: type[M], given: list[tuple[str, str]], where: str) -> M:
    """What a query or headers say, as a value. Raises GraphError with every fault."""
    values = dict(given)
    try:
        if len(values) < len(given):
            raise GraphError([Fault("is given twice", (where, _repeated(given)), "keep one")])
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise GraphError(_faults(error, model, where)) from None


def _repeated(given: list[tuple[str, str]]) -> str:
    names = [name for name, _ in given]
    return next(name for name in names if names.count(name) > 1)


def _faults(error: ValidationError, model: type[BaseModel], where: str) -> list[Fault]:
    known = tuple(field.alias or name for name, field in model.model_fields.items())
    details = error.errors(include_url=False, include_input=False)
    findings = Findings()
    return [shape_fault(detail, (where,), known, findings=findings) for detail in details]
