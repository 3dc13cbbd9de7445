"""FLUX.2's transformer with random weights, made tensor by tensor where it will stay: no file, and no second copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import diffusers
import torch
from cases import Case
from diffusers.models.model_loading_utils import load_model_dict_into_meta
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.quantizers.auto import DiffusersAutoQuantizer
from torch import Tensor, nn

from limner.nodes._flux2.bitsandbytes_cpu import keep_portable
from limner.nodes._flux2.live import LiveTransformer
from limner.nodes._flux2.quantization import QuantizedLoad
from limner.nodes._flux2.settings import Defaults
from limner.nodes.specs import Quantization

_SPREAD = 0.02
_DTYPE = torch.bfloat16


class RandomWeights(Mapping[str, Tensor]):
    """Weights by name as a checkpoint would have them, each drawn when it is asked for and kept by nobody here."""

    def __init__(self, shapes: Mapping[str, torch.Size], device: str) -> None:
        self._shapes = shapes
        self._device = device

    def __getitem__(self, name: str) -> Tensor:
        shape = self._shapes[name]
        if len(shape) == 1:  # norms
            return torch.ones(shape, dtype=_DTYPE, device=self._device)
        return torch.empty(shape, dtype=_DTYPE, device=self._device).normal_(std=_SPREAD)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def random_transformer(case: Case, device: str, drawn_on: str) -> LiveTransformer:
    """The model of a case, alive on ``device``, quantized as ``Quantize`` does it.

    Its weights are drawn on another device where that is faster.
    """
    config = case.config
    with torch.device("meta"):
        model: Any = Flux2Transformer2DModel.from_config(config)
    nn.Module.to(model, _DTYPE)  # diffusers' own ``to`` would warn of the casting, which is what is wanted
    weights = RandomWeights({name: tensor.shape for name, tensor in model.state_dict().items()}, drawn_on)
    if case.quantization is None:
        _fill(model, weights, device, _DTYPE)
    else:
        _fill_quantized(model, weights, device, case.quantization)
    if device == "cpu":
        keep_portable(model)
    is_dev = bool(config["guidance_embeds"])
    return LiveTransformer(
        model=model.eval().requires_grad_(False),
        scheduler_config={"use_dynamic_shifting": True, "shift": 3.0},
        channels=config["in_channels"],
        text_width=config["joint_attention_dim"],
        family="dev" if is_dev else "klein",
        is_distilled=not is_dev,
        defaults=Defaults(steps=50, guidance=4.0, width=case.side, height=case.side),
        preview=None,
    )


def _fill_quantized(model: Any, weights: RandomWeights, device: str, quantization: Quantization) -> None:
    load = QuantizedLoad(quantization, _DTYPE, kept=())
    arguments = load.arguments(diffusers, device)
    if not arguments:  # cast layer by layer: the model is told while it has no weights yet, and takes them in 8 bits
        load.finish(model)
        _fill(model, weights, device, None)
        return
    quantizer = DiffusersAutoQuantizer.from_config(arguments["quantization_config"], pre_quantized=False)
    device_map = {"": device}
    quantizer.validate_environment(torch_dtype=_DTYPE, device_map=device_map)
    quantizer.preprocess_model(model=model, device_map=device_map, keep_in_fp32_modules=[])
    _fill(model, weights, device, _DTYPE, quantizer)
    quantizer.postprocess_model(model)
    load.finish(model)


def _fill(model: Any, weights: RandomWeights, device: str, dtype: torch.dtype | None, quantizer: Any = None) -> None:
    load: Any = load_model_dict_into_meta  # asks for an OrderedDict, and only goes through its items
    load(model, weights, dtype=dtype, hf_quantizer=quantizer, device_map={"": device})
