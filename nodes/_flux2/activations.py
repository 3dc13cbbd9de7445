"""What computing takes besides weights: bytes of activations by sizes, from formulas with fitted constants. No torch.

Each formula is a sum of terms that follow from how the modules are built (tokens times width, and so on); the
constants in ``activations.json`` say how many such tensors are alive at once, and where they were measured. Attention
is taken to be fused: no matrix of scores is ever whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("activations.json")


@dataclass(frozen=True)
class DenoiseSize:
    """What a transformer reads in one step."""

    text_tokens: int
    picture_tokens: int
    """Of the picture and of all references."""
    batch: int
    itemsize: int
    """Bytes of a number of the hidden states."""


def denoise_bytes(config: Mapping[str, Any], size: DenoiseSize, prompts: int = 1) -> int:
    """One step of a transformer, with its inputs: latents, prompts (two where guided by a negative one), ids."""
    inputs: int = size.text_tokens * config.get("joint_attention_dim", 15360) * prompts * size.itemsize
    tokens = size.text_tokens + size.picture_tokens
    inputs += size.picture_tokens * config.get("in_channels", 128) * 3 * size.itemsize + tokens * 4 * 8
    return size.batch * inputs + _sum("transformer", transformer_terms(config, size))


def transformer_terms(config: Mapping[str, Any], size: DenoiseSize) -> list[float]:
    """Hidden states, what lies inside the feed-forward layers, the prompt as it came, and rotary angles in float32."""
    head = config.get("attention_head_dim", 128)
    width = head * config.get("num_attention_heads", 48)
    tokens = size.text_tokens + size.picture_tokens
    return [
        float(size.batch * tokens * width * size.itemsize),
        size.batch * tokens * width * config.get("mlp_ratio", 3.0) * size.itemsize,
        float(tokens * head * 4),
    ]


def encode_prompt_bytes(config: Mapping[str, Any], layers: int, tokens: int, itemsize: int) -> int:
    """One prompt through so many layers of a text encoder, whose hidden states are all kept."""
    return _sum("text_encoder", text_terms(config, layers, tokens, itemsize))


def text_terms(config: Mapping[str, Any], layers: int, tokens: int, itemsize: int) -> list[float]:
    """Hidden states of every layer, of one layer, what lies inside its feed-forward layer, and the mask."""
    text = config.get("text_config", config)
    width = text["hidden_size"]
    return [
        float(tokens * width * layers * itemsize),
        float(tokens * width * itemsize),
        float(tokens * text["intermediate_size"] * itemsize),
        float(tokens * tokens),
    ]


def decode_bytes(config: Mapping[str, Any], pixels: int, itemsize: int) -> int:
    """Latents to pictures of so many pixels in all, by a decoder that may have channels of its own."""
    own = config.get("decoder_block_out_channels")
    return _sum("vae_decode", vae_terms({"block_out_channels": own} if own else config, pixels, itemsize))


def encode_bytes(config: Mapping[str, Any], pixels: int, itemsize: int) -> int:
    """One picture of so many pixels to latents."""
    return _sum("vae_encode", vae_terms(config, pixels, itemsize))


def vae_terms(config: Mapping[str, Any], pixels: int, itemsize: int) -> list[float]:
    """Maps of full size, as wide as the outermost block and as the next one, and pixels."""
    first, second = list(config.get("block_out_channels", (128, 256)))[:2]
    return [float(pixels * first * itemsize), float(pixels * second * itemsize), float(pixels * itemsize)]


def constants(part: str) -> Sequence[float]:
    """How many tensors of each kind are alive at once."""
    found: list[float] = _document()[part]["constants"]
    return found


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return document


def _sum(part: str, terms: Sequence[float]) -> int:
    return math.ceil(sum(constant * term for constant, term in zip(constants(part), terms, strict=True)))
