"""The names of weights in BFL's own files, and those of diffusers that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Names = Callable[[str], list[str]]
"""A name of a file -> the names of the equal parts that it consists of, in order; none for one that is not known."""

_PLAIN: Final = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_guidance_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_guidance_embed.guidance_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
    "final_layer.linear": "proj_out",
}
_DOUBLE: Final = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.norm.query_norm": ("attn.norm_q",),
    "img_attn.norm.key_norm": ("attn.norm_k",),
    "txt_attn.norm.query_norm": ("attn.norm_added_q",),
    "txt_attn.norm.key_norm": ("attn.norm_added_k",),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.linear_in",),
    "img_mlp.2": ("ff.linear_out",),
    "txt_mlp.0": ("ff_context.linear_in",),
    "txt_mlp.2": ("ff_context.linear_out",),
}
_SINGLE: Final = {
    "linear1": ("attn.to_qkv_mlp_proj",),
    "linear2": ("attn.to_out",),
    "norm.query_norm": ("attn.norm_q",),
    "norm.key_norm": ("attn.norm_k",),
}
_BLOCK: Final = re.compile(r"(double|single)_blocks\.(\d+)\.(.+)", re.ASCII)


def transformer_names(key: str) -> list[str]:
    """``double_blocks.3.img_attn.proj.weight`` -> ``transformer_blocks.3.attn.to_out.0.weight``."""
    layer, _, kind = key.rpartition(".")
    kind = "weight" if kind == "scale" else kind  # of a norm
    if layer in _PLAIN:
        return [f"{_PLAIN[layer]}.{kind}"]
    found = _BLOCK.fullmatch(layer)
    if found is None:
        return []
    blocks, layers = ("transformer_blocks", _DOUBLE) if found[1] == "double" else ("single_transformer_blocks", _SINGLE)
    return [f"{blocks}.{found[2]}.{name}.{kind}" for name in layers.get(found[3], ())]


_VAE: Final[list[tuple[str, str]]] = [
    (r"(encoder|decoder)\.(conv_in|conv_out)\.(.+)", r"\1.\2.\3"),
    (r"(encoder|decoder)\.norm_out\.(.+)", r"\1.conv_norm_out.\2"),
    (r"(?:encoder\.)?quant_conv\.(.+)", r"quant_conv.\1"),
    (r"(?:decoder\.)?post_quant_conv\.(.+)", r"post_quant_conv.\1"),
    (r"encoder\.down\.(\d+)\.block\.(\d+)\.(.+)", r"encoder.down_blocks.\1.resnets.\2.\3"),
    (r"encoder\.down\.(\d+)\.downsample\.conv\.(.+)", r"encoder.down_blocks.\1.downsamplers.0.conv.\2"),
    (r"(encoder|decoder)\.mid\.block_1\.(.+)", r"\1.mid_block.resnets.0.\2"),
    (r"(encoder|decoder)\.mid\.block_2\.(.+)", r"\1.mid_block.resnets.1.\2"),
    (r"(encoder|decoder)\.mid\.attn_1\.norm\.(.+)", r"\1.mid_block.attentions.0.group_norm.\2"),
    (r"(encoder|decoder)\.mid\.attn_1\.([qkv])\.(.+)", r"\1.mid_block.attentions.0.to_\2.\3"),
    (r"(encoder|decoder)\.mid\.attn_1\.proj_out\.(.+)", r"\1.mid_block.attentions.0.to_out.0.\2"),
]
_UP: Final = re.compile(r"decoder\.up\.(\d+)\.(block\.(\d+)|upsample\.conv)\.(.+)", re.ASCII)


def vae_names(levels: int) -> Names:
    """The names of a VAE with ``levels`` resolutions, which BFL counts from the finest and diffusers from the coarsest.

    ``decoder.up.0.block.1.nin_shortcut.weight`` -> ``decoder.up_blocks.3.resnets.1.conv_shortcut.weight``.
    """

    def names(key: str) -> list[str]:
        key = key.replace("nin_shortcut", "conv_shortcut")
        if found := _UP.fullmatch(key):
            part = f"resnets.{found[3]}" if found[3] else "upsamplers.0.conv"
            return [f"decoder.up_blocks.{levels - 1 - int(found[1])}.{part}.{found[4]}"]
        for pattern, name in _VAE:
            if re.fullmatch(pattern, key, re.ASCII):
                return [re.sub(pattern, name, key, flags=re.ASCII)]
        return []

    return names
