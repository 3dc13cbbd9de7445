"""The client of Hugging Face's remote text encoder: a prompt as JSON, and a tensor that ``torch.save`` wrote."""

from __future__ import annotations

import asyncio
from typing import Final

from limner.engine.errors import RemoteError
from limner.nodes._remote.call import Service, call
from limner.nodes._remote.protocol import HUGGINGFACE_TOKENS
from limner.nodes.values import Conditioning

MAX_WIDTH: Final = 15360
"""FLUX.2 dev's: three layers of 5,120."""
MAX_BYTES: Final = HUGGINGFACE_TOKENS * MAX_WIDTH * 4
_AROUND_BYTES: Final = 64 << 10
"""What torch.save writes besides the numbers."""


async def ask_embedding(service: Service, prompt: str) -> Conditioning:
    """What the endpoint makes of a prompt: (1, 512, width). Raises RemoteError, InputError."""
    answer = await call(service, "POST", "", {"prompt": prompt}, max_bytes=MAX_BYTES + _AROUND_BYTES)
    return await asyncio.to_thread(_read, service, answer.body)


def _read(service: Service, body: bytes) -> Conditioning:
    import torch

    from limner.nodes._flux2.torch_blob import read_tensor

    try:
        tensor = read_tensor(body, MAX_BYTES)
    except ValueError as error:
        said = service.without_token(str(error))[:300]
        raise RemoteError(f"the answer of {service.url} is refused: {said}") from None
    is_right = tensor.ndim == 3 and tensor.shape[:2] == (1, HUGGINGFACE_TOKENS) and 1 <= tensor.shape[2] <= MAX_WIDTH
    if not is_right or tensor.dtype not in (torch.bfloat16, torch.float16, torch.float32):
        right = f"a prompt is (1, {HUGGINGFACE_TOKENS}, width) of floats"
        raise RemoteError(f"the answer of {service.url} is {tensor.dtype} {tuple(tensor.shape)}: {right}")
    return Conditioning(tensor)
