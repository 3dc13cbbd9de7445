"""Shapes told from a configuration are those of the real classes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from limner.nodes._flux2.shapes import Shapes, text_encoder_shapes, transformer_shapes, vae_shapes

CONFIGS = Path(__file__).parents[3] / "nodes" / "_flux2" / "configs"
MODELS = ("FLUX.2-dev", "FLUX.2-klein-4B", "FLUX.2-klein-9B")
EMBEDDED = Path(__file__).parents[3] / "tiny" / "weights"


def config(folder: Path, component: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / component / "config.json").read_text())
    return document


def count(shapes: Shapes) -> int:
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.startswith("bn."))


def real(make: Any) -> Shapes:
    """The state of a module on the meta device; weights that are shared count once, under the first name."""
    import torch

    with torch.device("meta"):
        module = make()
    kept = {*dict(module.named_parameters()), *(name for name, _ in module.named_buffers())}
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if name in kept}


@pytest.mark.parametrize(
    ("model", "transformer", "text_encoder"),
    [
        ("FLUX.2-dev", "32.223", "24.011"),
        ("FLUX.2-klein-4B", "3.876", "4.022"),
        ("FLUX.2-klein-9B", "9.079", "8.191"),
    ],
)
def test_parameters_are_the_published_ones(model: str, transformer: str, text_encoder: str) -> None:
    """The configurations that are checked in have the parameters that are published, to all digits given."""
    folder = CONFIGS / model
    assert f"{count(transformer_shapes(config(folder, 'transformer'))) / 1e9:.3f}" == transformer
    assert f"{count(text_encoder_shapes(config(folder, 'text_encoder'))) / 1e9:.3f}" == text_encoder
    assert f"{count(vae_shapes(config(folder, 'vae'))) / 1e6:.1f}" == "84.0"


SMALL = {
    "in_channels": 16,
    "num_layers": 2,
    "num_single_layers": 3,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": 48,
    "timestep_guidance_channels": 16,
    "axes_dims_rope": (2, 2, 2, 2),
}


@pytest.mark.parametrize(
    "settings",
    [
        *[pytest.param(config(CONFIGS / model, "transformer"), id=model) for model in MODELS],
        pytest.param(config(EMBEDDED, "transformer"), id="embedded"),
        pytest.param(SMALL | {"guidance_embeds": False, "out_channels": 8, "patch_size": 2}, id="no guidance"),
        pytest.param(SMALL | {"mlp_ratio": 2.5}, id="narrow"),
    ],
)
def test_transformer(settings: dict[str, Any]) -> None:
    """Every weight of Flux2Transformer2DModel, by name and shape."""
    from diffusers import Flux2Transformer2DModel

    assert transformer_shapes(settings) == real(lambda: Flux2Transformer2DModel.from_config(settings))


@pytest.mark.parametrize("folder", [*(CONFIGS / model for model in MODELS), EMBEDDED], ids=lambda folder: folder.name)
def test_text_encoder(folder: Path) -> None:
    """Every weight of Qwen3ForCausalLM and Mistral3ForConditionalGeneration."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, Qwen3Config, Qwen3ForCausalLM

    settings = config(folder, "text_encoder")
    if "text_config" in settings:
        found = real(lambda: Mistral3ForConditionalGeneration(Mistral3Config(**settings)))
    else:
        found = real(lambda: Qwen3ForCausalLM(Qwen3Config(**settings)))
    computed = {name for name in found if name.endswith("inv_freq")}
    assert text_encoder_shapes(settings) == {name: shape for name, shape in found.items() if name not in computed}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers_per_block": 1, "block_out_channels": [8, 8, 16, 16], "norm_num_groups": 2, "latent_channels": 4},
        {"decoder_block_out_channels": [96, 192, 384, 384], "mid_block_add_attention": False},
        {"use_quant_conv": False, "use_post_quant_conv": False},
    ],
    ids=["real", "small", "small decoder", "no quant conv"],
)
def test_vae(changes: dict[str, Any]) -> None:
    """Every weight of AutoencoderKLFlux2, with its statistics."""
    from diffusers import AutoencoderKLFlux2

    settings = config(CONFIGS / "FLUX.2-dev", "vae") | changes
    assert vae_shapes(settings) == real(lambda: AutoencoderKLFlux2.from_config(settings))
