"""LoRA weights in one form, whatever trainer wrote them: matrices A and B by layer, with alpha multiplied in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers.pipelines.flux2.pipeline_flux2 import Flux2Pipeline
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from limner.engine.errors import ModelError
from limner.nodes._flux2.lora_file import lora_faults
from limner.nodes._flux2.weights import shorten

Weights = dict[str, Tensor]

_TARGET = "transformer."
_METADATA = "lora_adapter_metadata"
"""Where diffusers and PEFT keep the adapter's configuration in the header."""
_convert: Any = Flux2Pipeline.lora_state_dict


@dataclass(frozen=True)
class Scales:
    """How much each layer's product counts: alpha / rank, from the header's configuration; 1 where there is none."""

    alpha: float | None
    alpha_pattern: Mapping[str, float]
    use_rslora: bool

    @classmethod
    def of(cls, header: Mapping[str, str] | None) -> Scales:
        """Read the metadata of a file. Raises ValueError and TypeError where it is not what PEFT writes."""
        config = json.loads((header or {}).get(_METADATA) or "{}")
        own = {str(key).removeprefix(_TARGET): value for key, value in config.items()}
        alpha = own.get("lora_alpha")
        pattern = {str(key): float(value) for key, value in (own.get("alpha_pattern") or {}).items()}
        return cls(None if alpha is None else float(alpha), pattern, own.get("use_rslora") is True)

    def scale(self, layer: str, rank: int) -> float:
        """The factor of one layer."""
        key = get_pattern_key(list(self.alpha_pattern), layer)
        alpha = self.alpha_pattern.get(key, self.alpha)
        if alpha is None:
            return 1.0
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank


def read_lora(path: Path, model: nn.Module) -> Weights:
    """The weights of a file under diffusers' names, checked against the transformer that they are for.

    Formats: diffusers, PEFT, BFL, ai-toolkit, ComfyUI and kohya. Raises ModelError that names the keys that misfit.
    """
    for fault in lora_faults(path):
        raise ModelError(fault, hint=_HINT)
    try:
        with safe_open(path, framework="pt") as file:
            scales = Scales.of(file.metadata())
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is not a mapping
        weights = _fold_scales(_to_diffusers(path, _fold_alpha(path, weights)), scales)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} could not be read as a LoRA: {line[:300]}", hint=_HINT) from error
    _check_fit(path, weights, model)
    for name, tensor in weights.items():
        if not tensor.float().isfinite().all():
            raise ModelError(f"{path}: {name} has numbers that are not finite", hint="download it, or train it, again")
    return weights


_HINT = "use a LoRA that was trained for this model"


def _fold_alpha(path: Path, weights: Weights) -> Weights:
    """Multiply ``alpha / rank`` into B where alpha is a tensor of the file. For kohya's names, diffusers does it."""
    if any(name.startswith("lora_unet_") for name in weights):
        return weights
    folded = {n.replace(".lora_down.", ".lora_A.").replace(".lora_up.", ".lora_B."): t for n, t in weights.items()}
    for name in [name for name in folded if name.endswith(".alpha")]:
        layer = name.removesuffix(".alpha")
        if not {f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"} <= folded.keys():
            raise ModelError(f"{path}: {name} belongs to no weights")
        rank = folded[f"{layer}.lora_A.weight"].shape[0]
        folded[f"{layer}.lora_B.weight"] = folded[f"{layer}.lora_B.weight"].float() * (folded.pop(name).item() / rank)
    return folded


def _to_diffusers(path: Path, weights: Weights) -> Weights:
    """The conversion of diffusers, with an error for what it would pass over in silence."""
    is_kohya = any(name.startswith("lora_unet_") for name in weights)
    rest = dict(weights)
    converted: Weights = _convert(rest)
    if is_kohya and rest:  # the converter takes out what it knows
        raise ModelError(f"{path}: {shorten(rest)}: no FLUX.2 has such layers", hint=_HINT)
    return converted


def _fold_scales(weights: Weights, scales: Scales) -> Weights:
    folded = dict(weights)
    for name, b in weights.items():
        if name.endswith(".lora_B.weight"):
            scale = scales.scale(name.removeprefix(_TARGET).removesuffix(".lora_B.weight"), b.shape[-1])
            folded[name] = b if scale == 1 else b.float() * scale
    return folded


def _check_fit(path: Path, weights: Weights, model: nn.Module) -> None:
    """Every A and B must be those of a linear layer of the model. Raises ModelError."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    unknown, lonely, misfits = [], [], []
    for name, tensor in weights.items():
        layer_name, _, side = name.removesuffix(".weight").removeprefix(_TARGET).rpartition(".")
        layer = layers.get(layer_name)
        other = name.replace(f".{side}.", ".lora_B." if side == "lora_A" else ".lora_A.")
        if layer is None or side not in ("lora_A", "lora_B"):
            unknown.append(name)
        elif other not in weights:
            lonely.append(name)
        elif side == "lora_B":
            wanted, found = (layer.out_features, layer.in_features), (tensor.shape[0], weights[other].shape[-1])
            if wanted != found or tensor.ndim != 2 or tensor.shape[1] != weights[other].shape[0]:
                misfits.append(f"{layer_name} ({found[0]}x{found[1]} for {wanted[0]}x{wanted[1]})")
    if unknown:
        raise ModelError(f"{path}: {shorten(unknown)}: this transformer has no such layers", hint=_HINT)
    if lonely:
        raise ModelError(f"{path}: {shorten(lonely)}: the other half is missing", hint="download the file again")
    if misfits:
        raise ModelError(f"{path} misfits this transformer: {shorten(misfits)}", hint=_HINT)
