"""The FLOP of a step: those that were counted for the released models, and those that torch counts."""

from __future__ import annotations

import pytest
import torch
from cases import Case
from flops import TEXT_TOKENS, image_tokens, step_flop
from random_model import random_transformer
from torch.utils.flop_counter import FlopCounterMode

from limner.nodes._flux2.attending import with_attention


@pytest.mark.parametrize(
    ("model", "tera"),
    [
        ("dev", {0: 283, 1: 583, 2: 929, 4: 1760, 10: 5363}),
        ("klein-4b", {0: 35, 1: 77, 2: 129, 4: 264, 10: 918}),
        ("klein-9b", {0: 75, 1: 161, 2: 265, 4: 524, 10: 1725}),
    ],
)
def test_the_formula_gives_the_known_figures(model: str, tera: dict[int, int]) -> None:
    """TFLOP a step at 1024 x 1024 with 0 to 10 references, to the last digit that is known."""
    config = Case(model).config
    found = {count: step_flop(config, TEXT_TOKENS, image_tokens(1024, count)) / 1e12 for count in tera}
    assert found == pytest.approx(tera, abs=0.8)


def test_references_that_are_cached_are_attended_to_and_no_more() -> None:
    """Whether tokens are computed or cached, whoever is computed attends to both."""
    config = Case("klein-4b").config
    cached, none, both = step_flop(config, 512, 4096, 4096), step_flop(config, 512, 4096), step_flop(config, 512, 8192)
    width = config["attention_head_dim"] * config["num_attention_heads"]
    blocks = config["num_layers"] + config["num_single_layers"]
    assert cached - none == 4 * blocks * (512 + 4096) * 4096 * width
    assert none < cached < both


def test_the_formula_is_what_torch_counts() -> None:
    """On a small random model, up to what is computed once for all tokens."""
    live = random_transformer(Case("tiny-random"), "cpu", "cpu")
    text, image = 12, 20
    # The counter does not know the CPU's fused kernel.
    with with_attention(live.model, "_native_math", "cpu"), FlopCounterMode(display=False) as counter, torch.no_grad():
        live.model(
            hidden_states=torch.randn(1, image, live.channels, dtype=torch.bfloat16),
            encoder_hidden_states=torch.randn(1, text, live.text_width, dtype=torch.bfloat16),
            timestep=torch.ones(1),
            guidance=torch.ones(1),
            txt_ids=torch.zeros(1, text, 4),
            img_ids=torch.zeros(1, image, 4),
        )
    embedders, modulation, norm_out = 2 * 16 * 64 + 2 * 64 * 64, 2 * 6 * 64 * 64 + 3 * 64 * 64, 2 * 64 * 64
    once = 2 * (embedders + modulation + norm_out)
    assert counter.get_total_flops() == step_flop(Case("tiny-random").config, text, image) + once
