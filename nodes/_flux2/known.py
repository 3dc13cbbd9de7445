"""What is known of a component before it is loaded: its tensors, from headers or a configuration. Imports no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from limner.engine.errors import ModelError
from limner.nodes._flux2.base import ENDINGS, own_config, single_file_tensors
from limner.nodes._flux2.catalog import has_weights, known_folder
from limner.nodes._flux2.hub_file import here, locate
from limner.nodes._flux2.index import ModelIndex, read_index, read_json
from limner.nodes._flux2.settings import ModelSettings, read_settings
from limner.nodes._flux2.shapes import text_encoder_shapes, transformer_shapes, vae_shapes
from limner.nodes._flux2.shards import weight_files
from limner.nodes._flux2.text_layers import kept_name, layers_to_keep, text_tensors, whole_tensors
from limner.nodes._flux2.weights import Stored, read_folder
from limner.nodes.specs import Component, Flux2Spec, Quantization

SMALL_BYTES: Final = 1 << 30
"""On a CPU, weights up to this size are widened to float32 by ``dtype="auto"``: half precision is slow there."""
FLOAT_BYTES: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
_ITEMSIZES: Final = {"float32": 4, "bfloat16": 2, "float16": 2}
_SHAPES: Final = {"transformer": transformer_shapes, "text_encoder": text_encoder_shapes, "vae": vae_shapes}
_RELEASED_AS: Final = "BF16"


@dataclass(frozen=True, eq=False)
class KnownComponent:
    """One component of a checkpoint, by what its files say, or its configuration."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Stored]
    """By their names in the module."""
    origin: Literal["headers", "configuration"]

    is_file: bool = False
    """Whether the weights are a file of their own; the configuration is then of a model that it was made from."""

    @property
    def packed(self) -> dict[str, Stored]:
        """The tensors that are GGUF's blocks."""
        quantized = self.quantization is not None
        return {} if quantized else {n: t for n, t in self.tensors.items() if t.dtype not in FLOAT_BYTES and t.shape}

    @cached_property
    def index(self) -> ModelIndex:
        """The model's family. Raises ModelError."""
        return read_index(self.folder)

    @cached_property
    def settings(self) -> ModelSettings:
        """What the model is told at each call. Raises ModelError."""
        return read_settings(self.folder, self.index)

    @cached_property
    def stored_bytes(self) -> int:
        """All bytes, as stored."""
        return sum(tensor.size_bytes for tensor in self.tensors.values())

    @cached_property
    def quantization(self) -> Quantization | None:
        """How the checkpoint itself is quantized."""
        stored = self.config.get("quantization_config")
        if self.is_file or not isinstance(stored, dict):
            return None
        if not stored.get("load_in_4bit"):
            return Quantization("int8")
        return Quantization(
            "fp4" if stored.get("bnb_4bit_quant_type") == "fp4" else "nf4",
            double_quant=stored.get("bnb_4bit_use_double_quant") is True,
        )

    def itemsize(self, spec: Flux2Spec[Any], device: str) -> int:
        """Bytes of a weight that is not quantized, as ``spec`` is loaded on a device."""
        return _ITEMSIZES[self.dtype(spec, device)]

    def dtype(self, spec: Flux2Spec[Any], device: str) -> str:
        """Its dtype in torch's words. ``auto`` is that of most stored bytes, but float32 for small weights on a CPU."""
        if spec.dtype != "auto":
            return spec.dtype
        if device == "cpu" and self.stored_bytes <= SMALL_BYTES:
            return "float32"
        sizes = Counter[str]()
        for tensor in self.tensors.values():
            sizes[tensor.dtype] += tensor.size_bytes
        main = max(sizes, key=lambda dtype: (sizes[dtype], dtype))
        return {"F32": "float32", "F16": "float16"}.get(main, "bfloat16")


def known(spec: Flux2Spec[Any]) -> KnownComponent:
    """What is known of a component. Raises ModelError where nothing is."""
    folder = known_folder(spec.source, spec.revision, spec.component, is_whole=spec.is_whole)
    files = weight_files(folder / spec.component)
    return _known(folder, files, spec.component, spec.is_whole, spec.identity, spec.file, spec.file_revision)


def read_component(folder: Path, component: Component, *, is_whole: bool) -> dict[str, Stored]:
    """The tensors of a component in a model folder, by their names in its module, from headers. Raises ModelError."""
    if component == "text_encoder":
        return whole_tensors(folder) if is_whole else text_tensors(folder)
    return read_folder(folder / component)


def is_stored_quantized(spec: Flux2Spec[Any]) -> bool:
    """Whether a checkpoint was quantized when it was saved. Raises ModelError."""
    return known(spec).quantization is not None


@lru_cache(maxsize=64)
def _known(
    folder: Path,
    files: tuple[str, ...],
    component: Component,
    is_whole: bool,
    identity: str,
    file: str | None,
    file_revision: str | None,
) -> KnownComponent:
    """``identity`` says what the source held, and ``files`` how much was downloaded: where one changes, this is asked
    anew.
    """
    path = folder / component / "config.json"
    config = read_json(path)
    if file is not None:
        if (weights := here(locate(file, ENDINGS[component]), file_revision)) is not None:
            tensors = single_file_tensors(component, weights, folder / component)
            return KnownComponent(folder, own_config(component, weights, config), tensors, "headers", is_file=True)
        if not file.endswith(".safetensors"):  # GGUF keeps its blocks, and nobody knows of how many bits
            raise ModelError(f"{file} is not on this machine, so nothing is known of its size", hint="download it")
    elif has_weights(folder, component, is_whole=is_whole):
        return KnownComponent(folder, config, read_component(folder, component, is_whole=is_whole), "headers")
    try:
        shapes = _SHAPES[component](config)
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path} says too little to count weights: {error}") from error
    if component == "text_encoder" and not is_whole:
        layers = layers_to_keep(folder)
        shapes = {name: shape for key, shape in shapes.items() if (name := kept_name(key, layers))}
    tensors = {
        name: Stored(path, name, _RELEASED_AS, shape, math.prod(shape) * FLOAT_BYTES[_RELEASED_AS])
        for name, shape in shapes.items()
    }
    return KnownComponent(folder, config, tensors, "configuration", is_file=file is not None)
