"""The language model of a text encoder: bare, with the layers that are read and no other, or whole, where it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any, ClassVar, Final

import torch
import transformers
from safetensors import safe_open
from torch import nn
from transformers import (
    AutoConfig,
    GenerationConfig,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    MistralModel,
    PreTrainedConfig,
    Qwen3Config,
    Qwen3Model,
)

from limner.engine.errors import ModelError
from limner.nodes._flux2.checkpoint import Checkpoint
from limner.nodes._flux2.read_stored import placed, read_stored
from limner.nodes._flux2.single_file import Piece
from limner.nodes._flux2.text_layers import layers_to_keep, read_layers
from limner.nodes._flux2.weights import Stored


class CutMistral(MistralModel):  # type: ignore[no-untyped-call]  # its __init_subclass__ has no types
    """Mistral's first layers and no norm: what comes out of the last is what the whole model has there, to the bit."""

    def __init__(self, config: MistralConfig) -> None:
        super().__init__(config)
        self.norm = nn.Identity()  # type: ignore[assignment]  # called with the same one tensor


class CutQwen3(Qwen3Model):  # type: ignore[no-untyped-call]  # likewise
    """Qwen3's first layers, likewise."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__(config)
        self.norm = nn.Identity()  # type: ignore[assignment]  # likewise


_MODELS: Final[Mapping[type[PreTrainedConfig], tuple[Any, Any]]] = {
    MistralConfig: (MistralModel, CutMistral),
    Qwen3Config: (Qwen3Model, CutQwen3),
}
"""For weights with the norm behind the layers, and for those without."""


def text_class(checkpoint: Checkpoint) -> tuple[Any, PreTrainedConfig]:
    """Class and configuration of the model that ``checkpoint.tensors`` are the weights of. Raises ModelError.

    Every tensor of a stock text encoder's hidden states comes from here: what is left out, where it is not to write,
    are later layers, the head, and what sees pictures.
    """
    whole: Any = AutoConfig.from_pretrained(checkpoint.config, local_files_only=True, trust_remote_code=False)
    if checkpoint.is_whole:
        return _whole_class(checkpoint, whole), whole
    config = whole.get_text_config()
    if type(config) not in _MODELS:
        raise ModelError(f"{checkpoint.config} is a {type(config).__name__}, and FLUX.2 reads prompts with another")
    is_cut, folder = "norm.weight" not in checkpoint.tensors, checkpoint.folder
    layers = config.num_hidden_layers = max(read_layers(folder)) if is_cut else layers_to_keep(folder)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    if quantized := getattr(whole, "quantization_config", None):
        config.quantization_config = {**_as_dict(quantized), "llm_int8_skip_modules": _kept(checkpoint)}
    return _MODELS[type(config)][is_cut], config


def _whole_class(checkpoint: Checkpoint, config: PreTrainedConfig) -> Any:
    if not isinstance(config, Mistral3Config):
        raise ModelError(f"{checkpoint.config} is a {type(config).__name__}, and only dev's Mistral3Config writes")
    if quantized := getattr(config, "quantization_config", None):
        config.quantization_config = {**_as_dict(quantized), "llm_int8_skip_modules": _kept(checkpoint)}
    return Mistral3ForConditionalGeneration


def generation_config(checkpoint: Checkpoint) -> GenerationConfig:
    """How a checkpoint wants to be sampled: its own file, or what its configuration says."""
    if (checkpoint.config / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(checkpoint.config, local_files_only=True)
    return GenerationConfig.from_model_config(text_class(checkpoint)[1])


class _LazyPiece:
    """A tensor of a single file, made when transformers indexes it: one at a time, though it asks with many threads."""

    _turn: ClassVar = Lock()

    def __init__(self, file: Any, piece: Piece, dtype: torch.dtype) -> None:
        self._file, self._piece, self._dtype = file, piece, dtype

    def __getitem__(self, index: Any) -> torch.Tensor:
        with self._turn:
            return placed(read_stored(self._file, self._piece), self._dtype, "cpu")[index]


@contextmanager
def lazy_tensors(tensors: Mapping[str, Stored], dtype: torch.dtype) -> Iterator[dict[str, Any]]:
    """The tensors by name, none of them read yet: transformers reads one when it needs it.

    Those of a single file come in ``dtype``, multiplied by their scales.
    """
    with ExitStack() as stack:
        paths = {tensor.path for tensor in tensors.values()}
        files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in paths}
        yield {
            name: _LazyPiece(files[tensor.path], tensor, dtype)
            if isinstance(tensor, Piece)
            else files[tensor.path].get_slice(tensor.key)
            for name, tensor in tensors.items()
        }


def build_model(checkpoint: Checkpoint) -> nn.Module:
    """The model without its weights, as random as it is made."""
    cls, config = text_class(checkpoint)
    model: nn.Module = cls(config)
    return model


def meta_model(checkpoint: Checkpoint) -> nn.Module:
    """The same on the meta device."""
    with torch.device("meta"):
        return build_model(checkpoint)


def load_text_model(checkpoint: Checkpoint, **arguments: Any) -> tuple[transformers.PreTrainedModel, Mapping[str, Any]]:
    """The model, and what transformers says of missing and unknown weights. Raises what transformers raises."""
    cls, config = text_class(checkpoint)
    with lazy_tensors(checkpoint.tensors, arguments["dtype"]) as tensors:
        model, report = cls.from_pretrained(
            None, config=config, state_dict=tensors, output_loading_info=True, **arguments
        )
    return model, report


def _kept(checkpoint: Checkpoint) -> list[str]:
    """The layers that a quantized checkpoint holds in full precision: their names there are those of a larger model."""
    layers = {name.removesuffix(".weight") for name in checkpoint.tensors if name.endswith(".weight")}
    return sorted(
        layer
        for layer in layers
        if f"{layer}.weight.absmax" not in checkpoint.tensors and f"{layer}.SCB" not in checkpoint.tensors
    )


def _as_dict(config: Any) -> dict[str, Any]:
    return dict(config) if isinstance(config, dict) else dict(config.to_dict())
