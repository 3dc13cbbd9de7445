"""A text encoder in one file, as users of ComfyUI have it: often cut, or in fp8, with a tokenizer inside. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from limner.nodes._flux2.shapes import text_encoder_shapes
from limner.nodes._flux2.single_file import FileLayout
from limner.nodes._flux2.text_layers import is_unread, kept_name, layer_of, layers_to_keep, read_layers
from limner.nodes._flux2.weights import Stored, read_tensors

_NORM: Final = "norm.weight"
_TOKENIZERS: Final = ("tekken_model", "spiece_model", "tokenizer_json")
"""Tensors of bytes that ComfyUI reads a tokenizer from. Here it comes from the base, with its chat template."""


def text_file_layout(path: Path, config: Mapping[str, Any], folder: Path) -> FileLayout:
    """What a file holds of a text encoder, and what the model in ``folder`` reads of it.

    A file may end right behind the last layer that is read, as ComfyUI's of dev does. Its states are then what comes
    out of that layer, and no norm follows (see ``text_model``): the norm of a file that is cut is left out here.
    Raises ModelError, KeyError for a configuration that says too little.
    """
    tensors = read_tensors(path)
    layers = layers_to_keep(folder)
    here = 1 + max((layer for key in tensors if (layer := layer_of(key)) is not None), default=-1)
    is_cut = here == max(read_layers(folder)) < layers
    kept = here if is_cut else layers

    def names(key: str) -> list[str]:
        name = kept_name(key, kept)
        return [] if name is None or (is_cut and name == _NORM) else [name]

    shapes = text_encoder_shapes(config)
    expected = {name: shape for key, shape in shapes.items() for name in names(key)}
    return FileLayout(path, _of_model(tensors, kept, is_cut), names, expected)


def _of_model(tensors: Mapping[str, Stored], layers: int, is_cut: bool) -> dict[str, Stored]:
    """The tensors that are read, and those that nobody knows."""
    return {
        key: tensor
        for key, tensor in tensors.items()
        if key not in _TOKENIZERS and not is_unread(key, layers) and not (is_cut and kept_name(key, layers) == _NORM)
    }
