"""The trained parts as a stock pipeline folder, and the calls that the evaluation makes on it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from limner.tiny.render import Pictures
from limner.tiny.scenes import SIDE
from limner.tiny.text import OUT_LAYERS
from limner.tiny.tokenizer import MAX_LENGTH

WEIGHTS = Path(__file__).parent / "weights"
LORA = Path(__file__).parent / "lora" / "moon.safetensors"
SHIFT = 3.0  # moves the steps towards high noise, where shapes are decided
# Chosen by eye and by the evaluation: below 2, prompts that leave things out blur; more steps change nothing.
STEPS = 12
GUIDANCE = 2.0


def save_pipeline(
    folder: Path,
    transformer: Flux2Transformer2DModel,
    encoder: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    vae: AutoencoderKLFlux2,
    pictures: torch.Tensor,
    *,
    is_distilled: bool = False,
) -> None:
    """Write the folder in half precision, with ``limner.json`` beside the stock files.

    ``pictures`` (N, 3, H, W) in [-1, 1] serve to fit the latent preview.
    """
    preview = fit_preview(vae, pictures)
    pipe = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=is_distilled,
    )
    # Else the file says where the stages were.
    vae.register_to_config(_name_or_path="")  # type: ignore[no-untyped-call]  # diffusers leaves it untyped
    pipe.to(torch.float16).save_pretrained(folder)
    _declare_single_precision(folder / "text_encoder" / "config.json")
    extras = {
        "text": {"max_sequence_length": MAX_LENGTH, "out_layers": list(OUT_LAYERS)},
        "defaults": {"steps": STEPS, "guidance": GUIDANCE, "width": SIDE, "height": SIDE},
        "preview": preview,
    }
    (folder / "limner.json").write_text(json.dumps(extras, indent=1) + "\n", encoding="utf-8")


def _declare_single_precision(config: Path) -> None:
    """Let a plain ``from_pretrained`` widen the text encoder, as it does the other parts: it reads the dtype here."""
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"dtype": "float16"', '"dtype": "float32"'), encoding="utf-8")


@torch.no_grad()
def fit_preview(vae: AutoencoderKLFlux2, pictures: torch.Tensor) -> dict[str, Any]:
    """Fit, by least squares, the linear map from a latent cell to the mean colour of its pixels in [0, 1]."""
    latents = vae.encode(pictures).latent_dist.mode()
    cells = latents.permute(0, 2, 3, 1).flatten(0, 2)
    colors = (functional.avg_pool2d(pictures, pictures.shape[-1] // latents.shape[-1]) + 1) / 2
    inputs = torch.cat([cells, torch.ones(len(cells), 1)], 1)
    solution = torch.linalg.lstsq(inputs, colors.permute(0, 2, 3, 1).flatten(0, 2)).solution  # (z + 1, 3)
    rounded = [[round(v, 5) for v in row] for row in solution.T.tolist()]
    return {"weight": [row[:-1] for row in rounded], "bias": [row[-1] for row in rounded]}


def load_pipeline(folder: Path = WEIGHTS) -> Flux2KleinPipeline:
    """Load the folder with the stock class, in single precision."""
    pipe = Flux2KleinPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)  # type: ignore[no-untyped-call]  # diffusers leaves it untyped
    return pipe


def generate(
    pipe: Flux2KleinPipeline,
    prompts: Sequence[str],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    seed: int = 0,
    references: Sequence[Image.Image] | None = None,
    batch: int = 16,
    side: int = SIDE,
) -> Pictures:
    """Draw one picture a prompt; the i-th of them has the seed ``seed + i``, whatever the batch."""
    parts = []
    for start in range(0, len(prompts), batch):
        part = list(prompts[start : start + batch])
        images = pipe(
            image=list(references) if references else None,
            prompt=part,
            height=side,
            width=side,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed + start + i) for i in range(len(part))],
            max_sequence_length=MAX_LENGTH,
            text_encoder_out_layers=OUT_LAYERS,
            output_type="np",
        ).images
        parts.append((np.asarray(images) * 255).round().astype(np.uint8))
    return np.concatenate(parts)
