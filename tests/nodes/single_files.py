"""Single files as BFL, ComfyUI and GGUF tools write them, made from small random models of diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

PLAIN = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_guidance_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_guidance_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
    "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
    "single_stream_modulation.linear": "single_stream_modulation.lin",
    "proj_out": "final_layer.linear",
}
DOUBLE = {
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_add_out": "txt_attn.proj",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
}
SINGLE = {
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.to_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
FUSED = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}


def bfl_transformer(model: Any, prefix: str = "") -> dict[str, Tensor]:
    """The weights of a transformer under BFL's names."""
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = {f"{theirs}.weight": own.pop(f"{name}.weight") for name, theirs in PLAIN.items() if f"{name}.weight" in own}
    scale, shift = own.pop("norm_out.linear.weight").chunk(2)
    found["final_layer.adaLN_modulation.1.weight"] = torch.cat([shift, scale])
    for blocks, theirs, layers in (
        ("transformer_blocks", "double_blocks", DOUBLE),
        ("single_transformer_blocks", "single_blocks", SINGLE),
    ):
        for i in {name.split(".")[1] for name in own if name.startswith(f"{blocks}.")}:
            for name, layer in layers.items():
                kind = "scale" if "norm" in layer else "weight"
                found[f"{theirs}.{i}.{layer}.{kind}"] = own.pop(f"{blocks}.{i}.{name}.weight")
            for layer, parts in FUSED.items() if blocks == "transformer_blocks" else ():
                tensors = [own.pop(f"{blocks}.{i}.{part}.weight") for part in parts]
                found[f"{theirs}.{i}.{layer}.weight"] = torch.cat(tensors)
    assert not own
    return {f"{prefix}{name}": tensor for name, tensor in found.items()}


def bfl_vae(model: Any) -> dict[str, Tensor]:
    """The weights of an autoencoder under BFL's names."""
    levels = len(model.config["block_out_channels"])
    found = {}
    for name, tensor in model.state_dict().items():
        parts = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out").split(".")
        if parts[0] in ("quant_conv", "post_quant_conv"):
            parts = ["encoder" if parts[0] == "quant_conv" else "decoder", *parts]
        elif parts[1] in ("down_blocks", "up_blocks"):
            level = int(parts[2]) if parts[1] == "down_blocks" else levels - 1 - int(parts[2])
            kind = {"resnets": ["block", parts[4]], "downsamplers": ["downsample"], "upsamplers": ["upsample"]}
            parts = [parts[0], parts[1].removesuffix("_blocks"), str(level), *kind[parts[3]], *parts[5:]]
        elif parts[1:3] == ["mid_block", "resnets"]:
            parts = [parts[0], "mid", f"block_{int(parts[3]) + 1}", *parts[4:]]
        elif parts[1:3] == ["mid_block", "attentions"]:
            last = {"group_norm": ["norm"], "to_out": ["proj_out"]}.get(parts[4], [parts[4].removeprefix("to_")])
            parts = [parts[0], "mid", "attn_1", *last, parts[-1]]
            tensor = tensor[..., None, None] if tensor.ndim == 2 else tensor
        found[".".join(parts)] = tensor.clone()
    return found


def scaled_fp8(tensors: dict[str, Tensor], suffix: str, by_row: bool = False) -> dict[str, Tensor]:
    """Linear weights in fp8, each with a scale beside it."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            found[name] = tensor
            continue
        scale = (tensor.abs().amax(1) if by_row else tensor.abs().max()) / 448
        found[name] = (tensor / (scale[:, None] if by_row else scale)).to(torch.float8_e4m3fn)
        found[name.removesuffix("weight") + suffix] = scale.float()
    return found


def write(path: Path, tensors: dict[str, Tensor]) -> Path:
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def write_header(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A file of bfloat16 weights with a true header, and nothing in it: a hole takes no disk."""
    header, at = {}, 0
    for name, shape in shapes.items():
        dtype, itemsize = ("U8", 1) if name == "tekken_model" else ("BF16", 2)
        size = torch.Size(shape).numel() * itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    content = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        file.truncate(8 + len(content) + at)
    return path
