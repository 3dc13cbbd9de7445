"""The shapes of every weight that a configuration describes, without torch: what a model weighs before it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Shapes = dict[str, tuple[int, ...]]
"""By the names of diffusers and transformers; parameters and saved buffers; tied weights once, under the first."""

_CONV, _POINT = (3, 3), (1, 1)


def transformer_shapes(config: Mapping[str, Any]) -> Shapes:
    """The weights of ``Flux2Transformer2DModel``; a key that is missing has that class's default."""
    head = config.get("attention_head_dim", 128)
    width = head * config.get("num_attention_heads", 48)
    mlp = int(width * config.get("mlp_ratio", 3.0))
    channels = config.get("in_channels", 128)
    steps = config.get("timestep_guidance_channels", 256)
    out = (config.get("out_channels") or channels) * config.get("patch_size", 1) ** 2
    found: Shapes = {}
    for kind in ("timestep", "guidance") if config.get("guidance_embeds", True) else ("timestep",):
        found[f"time_guidance_embed.{kind}_embedder.linear_1.weight"] = (width, steps)
        found[f"time_guidance_embed.{kind}_embedder.linear_2.weight"] = (width, width)
    for stream in ("double_stream_modulation_img", "double_stream_modulation_txt"):
        found[f"{stream}.linear.weight"] = (6 * width, width)
    found["single_stream_modulation.linear.weight"] = (3 * width, width)
    found["x_embedder.weight"] = (width, channels)
    found["context_embedder.weight"] = (width, config.get("joint_attention_dim", 15360))
    for i in range(config.get("num_layers", 8)):
        found |= _double_block(f"transformer_blocks.{i}", width, head, mlp)
    for i in range(config.get("num_single_layers", 48)):
        block = f"single_transformer_blocks.{i}.attn"
        found[f"{block}.to_qkv_mlp_proj.weight"] = (3 * width + 2 * mlp, width)
        found |= {f"{block}.norm_{name}.weight": (head,) for name in "qk"}
        found[f"{block}.to_out.weight"] = (width, width + mlp)
    return found | {"norm_out.linear.weight": (2 * width, width), "proj_out.weight": (out, width)}


def _double_block(block: str, width: int, head: int, mlp: int) -> Shapes:
    square = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    found: Shapes = {f"{block}.attn.{name}.weight": (width, width) for name in square}
    found |= {f"{block}.attn.norm_{name}.weight": (head,) for name in ("q", "k", "added_q", "added_k")}
    for stream in ("ff", "ff_context"):
        found[f"{block}.{stream}.linear_in.weight"] = (2 * mlp, width)
        found[f"{block}.{stream}.linear_out.weight"] = (width, mlp)
    return found


def text_encoder_shapes(config: Mapping[str, Any]) -> Shapes:
    """The weights of ``Qwen3ForCausalLM``, or of ``Mistral3ForConditionalGeneration`` with its vision tower."""
    if "text_config" not in config:
        return _language_model("model", config, with_norms=True) | _head(config, config)
    text, vision = config["text_config"], config["vision_config"]
    found = _vision_tower(vision) | _projector(text["hidden_size"], vision, config)
    return found | _language_model("model.language_model", text, with_norms=False) | _head(config, text)


def _language_model(prefix: str, config: Mapping[str, Any], *, with_norms: bool) -> Shapes:
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    found: Shapes = {f"{prefix}.embed_tokens.weight": (config["vocab_size"], width)}
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}.layers.{i}"
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            found[f"{layer}.self_attn.{name}_proj.weight"] = (rows, width)
            if config.get("attention_bias"):
                found[f"{layer}.self_attn.{name}_proj.bias"] = (rows,)
        found[f"{layer}.self_attn.o_proj.weight"] = (width, queries)
        if config.get("attention_bias"):
            found[f"{layer}.self_attn.o_proj.bias"] = (width,)
        if with_norms:
            found |= {f"{layer}.self_attn.{name}_norm.weight": (head,) for name in "qk"}
        found |= {f"{layer}.mlp.{name}_proj.weight": (inner, width) for name in ("gate", "up")}
        found[f"{layer}.mlp.down_proj.weight"] = (width, inner)
        found |= {f"{layer}.{name}_layernorm.weight": (width,) for name in ("input", "post_attention")}
    return found | {f"{prefix}.norm.weight": (width,)}


def _head(config: Mapping[str, Any], text: Mapping[str, Any]) -> Shapes:
    """None where it shares its weights with the embedding."""
    is_tied = config.get("tie_word_embeddings", "text_config" in config)
    return {} if is_tied else {"lm_head.weight": (text["vocab_size"], text["hidden_size"])}


def _vision_tower(config: Mapping[str, Any]) -> Shapes:
    width, inner, patch = config["hidden_size"], config["intermediate_size"], config.get("patch_size", 16)
    tower = "model.vision_tower"
    found: Shapes = {
        f"{tower}.patch_conv.weight": (width, config.get("num_channels", 3), patch, patch),
        f"{tower}.ln_pre.weight": (width,),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"{tower}.transformer.layers.{i}"
        found |= {f"{layer}.attention.{name}_proj.weight": (width, width) for name in "qkvo"}
        found |= {f"{layer}.feed_forward.{name}_proj.weight": (inner, width) for name in ("gate", "up")}
        found[f"{layer}.feed_forward.down_proj.weight"] = (width, inner)
        found |= {f"{layer}.{name}_norm.weight": (width,) for name in ("attention", "ffn")}
    return found


def _projector(width: int, vision: Mapping[str, Any], config: Mapping[str, Any]) -> Shapes:
    seen, projector = vision["hidden_size"], "model.multi_modal_projector"
    found: Shapes = {
        f"{projector}.norm.weight": (seen,),
        f"{projector}.patch_merger.merging_layer.weight": (seen, seen * config.get("spatial_merge_size", 2) ** 2),
        f"{projector}.linear_1.weight": (width, seen),
        f"{projector}.linear_2.weight": (width, width),
    }
    if config.get("multimodal_projector_bias"):
        found |= {f"{projector}.linear_{number}.bias": (width,) for number in (1, 2)}
    return found


def vae_shapes(config: Mapping[str, Any]) -> Shapes:
    """The weights of ``AutoencoderKLFlux2``, with the statistics of its latents."""
    widths: list[int] = list(config.get("block_out_channels", (128, 256, 512, 512)))
    channels, layers = config.get("latent_channels", 32), config.get("layers_per_block", 2)
    decoded = list(config.get("decoder_block_out_channels") or widths)
    found = dict(_encoder(widths, layers, config.get("in_channels", 3), 2 * channels, config))
    found |= dict(_decoder(decoded[::-1], layers + 1, channels, config.get("out_channels", 3), config))
    for name, size in (("quant_conv", 2 * channels), ("post_quant_conv", channels)):
        if config.get(f"use_{name}", True):
            found |= _conv(name, size, size, _POINT)
    rows, columns = config.get("patch_size", (2, 2))
    statistics = (rows * columns * channels,)
    return found | {"bn.running_mean": statistics, "bn.running_var": statistics, "bn.num_batches_tracked": ()}


def _encoder(
    widths: list[int], layers: int, seen: int, given: int, config: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _conv("encoder.conv_in", widths[0], seen, _CONV).items()
    width = widths[0]
    for i, wider in enumerate(widths):
        block = f"encoder.down_blocks.{i}"
        for j in range(layers):
            yield from _resnet(f"{block}.resnets.{j}", wider, width).items()
            width = wider
        if i < len(widths) - 1:
            yield from _conv(f"{block}.downsamplers.0.conv", width, width, _CONV).items()
    yield from _middle("encoder.mid_block", width, config).items()
    yield from _norm("encoder.conv_norm_out", width).items()
    yield from _conv("encoder.conv_out", given, width, _CONV).items()


def _decoder(
    widths: list[int], layers: int, seen: int, given: int, config: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _conv("decoder.conv_in", widths[0], seen, _CONV).items()
    yield from _middle("decoder.mid_block", widths[0], config).items()
    width = widths[0]
    for i, narrower in enumerate(widths):
        block = f"decoder.up_blocks.{i}"
        for j in range(layers):
            yield from _resnet(f"{block}.resnets.{j}", narrower, width).items()
            width = narrower
        if i < len(widths) - 1:
            yield from _conv(f"{block}.upsamplers.0.conv", width, width, _CONV).items()
    yield from _norm("decoder.conv_norm_out", width).items()
    yield from _conv("decoder.conv_out", given, width, _CONV).items()


def _middle(block: str, width: int, config: Mapping[str, Any]) -> Shapes:
    found = _resnet(f"{block}.resnets.0", width, width) | _resnet(f"{block}.resnets.1", width, width)
    if config.get("mid_block_add_attention", True):
        attention = f"{block}.attentions.0"
        found |= _norm(f"{attention}.group_norm", width)
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            found |= {f"{attention}.{name}.weight": (width, width), f"{attention}.{name}.bias": (width,)}
    return found


def _resnet(block: str, given: int, seen: int) -> Shapes:
    found = _norm(f"{block}.norm1", seen) | _conv(f"{block}.conv1", given, seen, _CONV)
    found |= _norm(f"{block}.norm2", given) | _conv(f"{block}.conv2", given, given, _CONV)
    return found | (_conv(f"{block}.conv_shortcut", given, seen, _POINT) if given != seen else {})


def _conv(name: str, given: int, seen: int, kernel: tuple[int, int]) -> Shapes:
    return {f"{name}.weight": (given, seen, *kernel), f"{name}.bias": (given,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
