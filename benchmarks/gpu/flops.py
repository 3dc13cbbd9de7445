"""How much FLUX.2's transformer computes in a step, from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TEXT_TOKENS: Final = 512
PIXELS_A_TOKEN: Final = 16
"""A side: the VAE divides by 8, and 2 x 2 of its cells are a token."""


def image_tokens(side: int, references: int) -> int:
    """Tokens of a square picture and of as large references, ``side`` in pixels."""
    return (side // PIXELS_A_TOKEN) ** 2 * (1 + references)


def step_flop(config: Mapping[str, Any], text: int, image: int, cached: int = 0) -> int:
    """Floating-point operations of one call for ``text`` and ``image`` tokens; a multiplication with its addition is 2.
    Those tokens also attend to ``cached`` ones, whose keys and values are known.

    Counted are the matrix products: a double block has q, k, v, output (4 d^2) and a gated MLP (3 d m, with
    m = ``mlp_ratio`` d) for each token of either stream; a single block has the same in two matrices; attention has
    2 d for each pair of tokens; around the blocks are the embedders and the last projection. What is computed once for
    the whole sequence (modulation) is left out, being less than a thousandth.
    """
    width = config["attention_head_dim"] * config["num_attention_heads"]
    mlp = int(width * config["mlp_ratio"])
    tokens = text + image
    blocks = config["num_layers"] + config["num_single_layers"]
    in_blocks = blocks * (tokens * (4 * width**2 + 3 * width * mlp) + 2 * tokens * (tokens + cached) * width)
    channels = config["in_channels"]
    out = config["out_channels"] or channels
    embedders = text * config["joint_attention_dim"] * width + image * (channels + out) * width
    return int(2 * (in_blocks + embedders))
