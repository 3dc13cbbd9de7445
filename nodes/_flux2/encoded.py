"""What an encoder service answers: embeddings as safetensors whose header says what made them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from limner.nodes._flux2.storage import dump, parse, read_metadata
from limner.nodes._remote.protocol import EncodeRequest, EncoderModel
from limner.nodes.values import Conditioning

_KIND = "Conditioning"


def dump_encoded(prompts: Sequence[Tensor], negative: Tensor | None, model: EncoderModel) -> bytes:
    """The answer to a request: ``prompt`` is (N, tokens, width), ``negative`` (1, tokens, width) where it is used.

    For one prompt the content is that of a stored Conditioning.
    """
    tensors = {"prompt": torch.cat(list(prompts))} | ({} if negative is None else {"negative": negative})
    return dump(_KIND, tensors, model.metadata())


def read_encoded(content: bytes, model: EncoderModel, request: EncodeRequest) -> Conditioning:
    """Read what ``dump_encoded`` wrote. Raises ValueError where it is not what ``model`` gives for ``request``."""
    metadata = read_metadata(_KIND, content)
    for name, value in model.metadata().items():
        if metadata.get(name) != value:
            raise ValueError(f"{name} is {metadata.get(name)!r} and not {value!r}")
    names = {"prompt", "negative"} if model.uses_negative else {"prompt"}
    tensors = parse(_KIND, content, required=names)
    for name, tensor in tensors.items():
        count = len(request.prompts) if name == "prompt" else 1
        expected = (count, request.max_length or model.max_length, model.width)
        if tuple(tensor.shape) != expected or tensor.dtype != getattr(torch, model.dtype):
            shape = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise ValueError(f"{name} is {shape} and not torch.{model.dtype} {expected}")
    return Conditioning(tensors["prompt"], tensors.get("negative"))
