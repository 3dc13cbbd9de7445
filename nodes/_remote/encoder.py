"""The client of ``limner serve-encoder``: which model is there, and what it makes of a prompt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from limner.engine.errors import RemoteError
from limner.nodes._remote.call import Service, call
from limner.nodes._remote.protocol import (
    ENCODE_PATH,
    MAX_ANSWER_BYTES,
    MAX_HEADER_BYTES,
    MODEL_PATH,
    EncodeRequest,
    EncoderModel,
    content_digest,
)
from limner.nodes.values import Conditioning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limner.nodes._flux2.encoded import Cuts

MAX_MODEL_BYTES: Final = 64 << 10


async def ask_model(service: Service) -> EncoderModel:
    """What the service encodes with. Raises RemoteError, InputError."""
    answer = await call(service, "GET", MODEL_PATH, max_bytes=MAX_MODEL_BYTES)
    try:
        return EncoderModel.model_validate_json(answer.body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its answer"
        raise RemoteError(
            f"{service.url} does not describe its model: {where}: {first['msg']}", hint="is this limner serve-encoder?"
        ) from None


async def ask_encoding(service: Service, model: EncoderModel, request: EncodeRequest) -> tuple[Conditioning, Cuts]:
    """What the service makes of a request, checked against what ``model`` promises, and what it does not read of it.

    Raises RemoteError, InputError.
    """
    expected = model.answer_bytes(request)
    if expected > MAX_ANSWER_BYTES:
        raise RemoteError(f"{service.url} would answer with {expected} bytes, and {MAX_ANSWER_BYTES} are read at most")
    answer = await call(
        service, "POST", ENCODE_PATH, request.model_dump(mode="json"), max_bytes=expected + MAX_HEADER_BYTES
    )
    # in a thread: torch takes seconds to import, and others share the event loop
    return await asyncio.to_thread(_read, service, model, request, answer.headers, answer.body)


def _read(
    service: Service, model: EncoderModel, request: EncodeRequest, headers: Mapping[str, str], body: bytes
) -> tuple[Conditioning, Cuts]:
    from limner.nodes._flux2.encoded import read_cuts, read_encoded

    digest = {name.lower(): value for name, value in headers.items()}.get("content-digest")
    if digest != content_digest(body):
        what = "has no checksum" if digest is None else "does not have the checksum that it names"
        raise RemoteError(f"the answer of {service.url} {what}: {len(body)} bytes arrived")
    try:
        return read_encoded(body, model, request), read_cuts(body, len(request.prompts) + model.uses_negative)
    except ValueError as error:
        said = service.without_token(str(error))[:300]
        raise RemoteError(f"the answer of {service.url} is not what its model gives: {said}") from None
