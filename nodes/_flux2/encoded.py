"""What an encoder service answers: embeddings as safetensors whose header says what made them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from limner.nodes._flux2.storage import dump, parse, read_metadata
from limner.nodes._prompt_warnings import PromptCut
from limner.nodes._remote.protocol import EncodeRequest, EncoderModel
from limner.nodes.values import Conditioning

Cuts = Sequence[PromptCut | None]
"""What is not read of each text of a request: of its prompts, then of the negative one where it is used."""

_KIND = "Conditioning"
_CUTS = TypeAdapter(list[PromptCut | None])


def dump_encoded(prompts: Sequence[Tensor], negative: Tensor | None, model: EncoderModel, cuts: Cuts = ()) -> bytes:
    """The answer to a request: ``prompt`` is (N, tokens, width), ``negative`` (1, tokens, width) where it is used.

    For one prompt the content is that of a stored Conditioning.
    """
    tensors = {"prompt": torch.cat(list(prompts))} | ({} if negative is None else {"negative": negative})
    said = {"cuts": _CUTS.dump_json(list(cuts)).decode()} if any(cuts) else {}
    return dump(_KIND, tensors, model.metadata() | said)


def read_cuts(content: bytes, texts: int) -> Cuts:
    """What an answer to so many texts says of those that are too long. Raises ValueError."""
    said = read_metadata(_KIND, content).get("cuts")
    try:
        cuts: Cuts = (None,) * texts if said is None else _CUTS.validate_json(said)
    except ValidationError:
        raise ValueError("cuts do not say what is cut") from None
    if len(cuts) != texts:
        raise ValueError(f"cuts are of {len(cuts)} texts and not of {texts}")
    return cuts


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
