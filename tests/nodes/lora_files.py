"""Random LoRA files for small random transformers, in every format that is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

RANK = 2
DOUBLE, SINGLE = "transformer_blocks.0", "single_transformer_blocks.0"
BFL = {
    "double_blocks.0.img_attn.qkv": [f"{DOUBLE}.attn.{name}" for name in ("to_q", "to_k", "to_v")],
    "double_blocks.0.txt_attn.qkv": [f"{DOUBLE}.attn.{name}" for name in ("add_q_proj", "add_k_proj", "add_v_proj")],
    "double_blocks.0.img_attn.proj": [f"{DOUBLE}.attn.to_out.0"],
    "double_blocks.0.img_mlp.0": [f"{DOUBLE}.ff.linear_in"],
    "single_blocks.0.linear1": [f"{SINGLE}.attn.to_qkv_mlp_proj"],
    "single_blocks.0.linear2": [f"{SINGLE}.attn.to_out"],
}
"""BFL's layers and the layers of diffusers that they consist of."""

Pair = tuple[Tensor, Tensor]


def random_pairs(model: nn.Module, seed: int = 0, size: float = 0.3) -> dict[str, Pair]:
    """A and B for each of BFL's layers: one A for all parts, B one below the other."""
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    for name, parts in BFL.items():
        layers: list[Any] = [model.get_submodule(part) for part in parts]
        a = torch.randn(RANK, layers[0].in_features, generator=generator) * size
        b = torch.randn(sum(layer.out_features for layer in layers), RANK, generator=generator) * size
        pairs[name] = a, b
    return pairs


def split(pairs: dict[str, Pair], prefix: str = "transformer.") -> dict[str, Tensor]:
    """Under the names of diffusers."""
    tensors = {}
    for name, (a, b) in pairs.items():
        for part, rows in zip(BFL[name], b.chunk(len(BFL[name])), strict=True):
            tensors[f"{prefix}{part}.lora_A.weight"] = a.clone()
            tensors[f"{prefix}{part}.lora_B.weight"] = rows.clone()
    return tensors


def fuse(model: nn.Module, pairs: dict[str, Pair], factor: float) -> None:
    """Add B A to the weights themselves: what an adapter must be equal to, but for rounding."""
    for name, (a, b) in pairs.items():
        for part, rows in zip(BFL[name], b.chunk(len(BFL[name])), strict=True):
            layer: Any = model.get_submodule(part)
            layer.weight.data += factor * (rows @ a)


def write(path: Path, tensors: dict[str, Tensor], **metadata: Any) -> Path:
    """Store tensors; ``metadata`` is the adapter's configuration, as diffusers writes it."""
    header = {"format": "pt"}
    if metadata:
        header["lora_adapter_metadata"] = json.dumps({f"transformer.{k}": v for k, v in metadata.items()})
    safetensors.torch.save_file(tensors, path, header)
    return path


def in_format(kind: str, pairs: dict[str, Pair], alpha: float) -> tuple[dict[str, Tensor], dict[str, Any], float]:
    """Tensors, metadata and the factor that they stand for."""
    scale = alpha / RANK
    dots = {f"diffusion_model.{name}": pair for name, pair in pairs.items()}
    if kind == "diffusers":
        return split(pairs), {}, 1.0
    if kind == "diffusers with alpha":
        return split(pairs), {"lora_alpha": alpha, "r": RANK}, scale
    if kind == "peft":
        return split(pairs, "base_model.model."), {}, 1.0
    if kind == "ai-toolkit":
        return {f"{n}.lora_{s}.weight": t for n, p in dots.items() for s, t in zip("AB", p, strict=True)}, {}, 1.0
    if kind == "bfl":
        names = {f"base_model.model.{name}": pair for name, pair in pairs.items()}
        return {f"{n}.lora_{s}.weight": t for n, p in names.items() for s, t in zip("AB", p, strict=True)}, {}, 1.0
    names = dots if kind == "comfyui" else {f"lora_unet_{n.replace('.', '_')}": p for n, p in pairs.items()}
    sides = {f"{n}.lora_{s}.weight": t for n, p in names.items() for s, t in zip(("down", "up"), p, strict=True)}
    return sides | {f"{n}.alpha": torch.tensor(alpha) for n in names}, {}, scale


FORMATS = ("diffusers", "diffusers with alpha", "peft", "ai-toolkit", "bfl", "comfyui", "kohya")
