"""A module from a single file: read tensor by tensor, straight into its final precision and place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

import numpy as np
import torch
from diffusers.models import model_loading_utils
from diffusers.quantizers.auto import DiffusersAutoQuantizer
from diffusers.quantizers.quantization_config import GGUFQuantizationConfig
from safetensors import safe_open
from torch import Tensor, nn

from limner.nodes._flux2.checkpoint import Checkpoint
from limner.nodes._flux2.gguf_file import open_gguf
from limner.nodes._flux2.read_stored import placed, read_stored, swapped
from limner.nodes._flux2.single_file import Piece

_GGML_FLOATS: Final = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_quantizers: Any = DiffusersAutoQuantizer
_gguf_config: Any = GGUFQuantizationConfig
_fill: Any = model_loading_utils.load_model_dict_into_meta


class Pieces(dict[str, Any]):
    """The tensors of a module by name, each read only when it is asked for, so that never more than one is in RAM."""

    def __init__(self, checkpoint: Checkpoint, stack: ExitStack) -> None:
        super().__init__(checkpoint.tensors)
        paths = {piece.path for piece in checkpoint.tensors.values()}
        self._files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in paths}

    def __getitem__(self, name: str) -> Tensor:
        piece: Piece = super().__getitem__(name)
        return read_stored(self._files[piece.path], piece)

    def items(self) -> Iterator[tuple[str, Tensor]]:  # type: ignore[override]  # diffusers only runs through them
        """Name and tensor, one after the other."""
        return ((name, self[name]) for name in self)


def load_single_file(cls: Any, checkpoint: Checkpoint, dtype: torch.dtype, device: str, config: Any) -> nn.Module:
    """A module of diffusers with the weights of a file; ``config`` says how diffusers is to quantize it, or is None.

    Raises what torch and diffusers raise.
    """
    own = cls.load_config(checkpoint.config, local_files_only=True) | checkpoint.own_config
    with torch.device("meta"):
        module: nn.Module = cls.from_config(own)
    if checkpoint.is_gguf:
        _quantize(module, _gguf_tensors(checkpoint), dtype, device, _gguf_config(compute_dtype=dtype))
        return module.eval()
    with ExitStack() as stack:
        pieces = Pieces(checkpoint, stack)
        if config is None:
            state = {name: placed(tensor, dtype, device) for name, tensor in pieces.items()}
            module.load_state_dict(state, assign=True)
        else:
            _quantize(module, pieces, dtype, device, config)
    return module.eval()


def _quantize(module: Any, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: str, config: Any) -> None:
    """Fill an empty module as ``from_pretrained`` of diffusers does, whose ``from_single_file`` quantizes nothing."""
    quantizer = _quantizers.from_config(config, pre_quantized=isinstance(config, _gguf_config))
    device_map = {"": device}
    quantizer.validate_environment(torch_dtype=dtype, device_map=device_map)
    quantizer.preprocess_model(model=module, device_map=device_map, state_dict=tensors, keep_in_fp32_modules=[])
    _fill(module, tensors, dtype=dtype, hf_quantizer=quantizer, device_map=device_map, keep_in_fp32_modules=[])
    quantizer.postprocess_model(module)
    module.hf_quantizer = quantizer
    module.register_to_config(quantization_config=config)


def _gguf_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors of a GGUF file: floats as they are, the rest as diffusers keeps blocks, which lie row by row."""
    from diffusers.quantizers.gguf import utils  # needs the package gguf, which not everybody has

    parameter: Any = utils.GGUFParameter
    (path,) = {piece.path for piece in checkpoint.tensors.values()}
    stored: Mapping[str, Any] = {tensor.name: tensor for tensor in open_gguf(path).tensors}
    found: dict[str, Tensor] = {}
    for name, piece in checkpoint.tensors.items():
        assert isinstance(piece, Piece)
        entry = stored[piece.key]
        index, count = piece.rows
        content = torch.from_numpy(np.array(np.split(entry.data, count)[index]))  # a copy: the reader's map is closed
        if plain := _GGML_FLOATS.get(piece.dtype):
            content = content.view(plain)
        tensor = swapped(content) if piece.is_swapped else content
        found[name] = tensor if plain else parameter(tensor, quant_type=entry.tensor_type)
    return found
