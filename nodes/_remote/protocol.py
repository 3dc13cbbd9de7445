"""What an encoder service and its client say to each other: the one place that both sides are written from."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION: Final = 1
ENCODE_PATH: Final = "/v1/encode"
MODEL_PATH: Final = "/v1/model"
DEFAULT_PORT: Final = 8765

MAX_PROMPTS: Final = 16
"""Prompts in one request."""
MAX_TOKENS: Final = 32768
MAX_REQUEST_BYTES: Final = 1 << 20
MAX_ANSWER_BYTES: Final = 256 << 20
"""16 prompts of FLUX.2 dev are 252 MB."""
MAX_HEADER_BYTES: Final = 64 << 10
"""What safetensors may take besides the tensors."""

HUGGINGFACE_TOKENS: Final = 512
"""What Hugging Face's endpoint always encodes."""

IDENTITY_PATTERN: Final = r"^sha256:[0-9a-f]{64}$"
Identity = Annotated[str, Field(pattern=IDENTITY_PATTERN)]
TensorDtype = Literal["float32", "bfloat16", "float16"]
ITEMSIZE: Final[dict[TensorDtype, int]] = {"float32": 4, "bfloat16": 2, "float16": 2}


class EncodeRequest(BaseModel):
    """The body of ``POST /v1/encode``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    prompts: list[str] = Field(min_length=1, max_length=MAX_PROMPTS)
    negative_prompt: str = ""
    max_length: int | None = Field(default=None, ge=1, le=MAX_TOKENS)


class EncoderModel(BaseModel):
    """The answer of ``GET /v1/model``: what the service encodes with."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)  # a newer service may say more

    protocol: Literal[1]
    identity: Identity
    """The hash of everything that decides the bytes of an answer."""
    source: str = Field(max_length=300)
    """What people call the model."""
    computed_by: str = Field(max_length=300)
    """The kind of device and the versions of the packages that compute."""
    dtype: TensorDtype
    layers: list[int] = Field(min_length=1, max_length=64)
    width: int = Field(ge=1, le=1 << 16)
    """Numbers in a token: layers * hidden."""
    max_length: int = Field(ge=1, le=MAX_TOKENS)
    """Tokens where a request names no number."""
    uses_negative: bool
    """Whether the transformer of this checkpoint is guided by a second, negative prompt."""

    def answer_bytes(self, request: EncodeRequest) -> int:
        """Bytes of the tensors that answer a request."""
        texts = len(request.prompts) + self.uses_negative
        return texts * (request.max_length or self.max_length) * self.width * ITEMSIZE[self.dtype]

    def metadata(self) -> dict[str, str]:
        """What the header of an answer says besides the tensors."""
        layers = ",".join(map(str, self.layers))
        return {"model": self.identity, "dtype": self.dtype, "layers": layers, "computed_by": self.computed_by}


def content_digest(content: bytes) -> str:
    """The header ``Content-Digest`` of a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def error_body(status: int, message: str) -> dict[str, Any]:
    """What an answer says that is an error."""
    return {"error": {"status": status, "message": message}}
