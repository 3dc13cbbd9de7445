"""The denoiser: a small Flux2Transformer2DModel, and the flow-matching loss it learns from."""

from functools import cache

import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import nn

from limner.tiny.text import WIDTH
from limner.tiny.vae import LATENT_CHANNELS

GRID = 8  # tokens along one side of a 128-pixel picture
CHANNELS = 4 * LATENT_CHANNELS
REFERENCE_STRIDE = 10  # between the time coordinates of reference pictures, as in the pipeline


def build_transformer() -> Flux2Transformer2DModel:
    """Build the transformer: klein's layout without guidance embedding, more rotary width for the two axes in use."""
    model: Flux2Transformer2DModel = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=CHANNELS,
        num_layers=1,
        num_single_layers=4,
        attention_head_dim=64,
        num_attention_heads=3,
        joint_attention_dim=WIDTH,
        timestep_guidance_channels=128,
        mlp_ratio=3.0,
        axes_dims_rope=(8, 24, 24, 8),
        rope_theta=100,  # pictures are 8 tokens wide: slow waves would say nothing
        guidance_embeds=False,
    )
    for name, parameter in model.named_parameters():
        if "modulation" in name or name.startswith("norm_out"):
            nn.init.normal_(parameter, std=0.02)
    nn.init.zeros_(model.proj_out.weight)
    return model


@cache
def picture_ids(references: int, height: int = GRID, width: int = GRID) -> torch.Tensor:
    """Coordinates (T, H, W, L) of the output's tokens and then of each reference's, (S, 4)."""
    times = [0, *(REFERENCE_STRIDE * (i + 1) for i in range(references))]
    one = torch.arange(1)
    return torch.cat(
        [torch.cartesian_prod(torch.tensor([t]), torch.arange(height), torch.arange(width), one) for t in times]
    )


@cache
def text_ids(length: int) -> torch.Tensor:
    """Coordinates of the prompt's tokens, (length, 4)."""
    one = torch.arange(1)
    return torch.cartesian_prod(one, one, one, torch.arange(length))


def sample_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw noise levels: mostly high, where shape and place are decided; a tenth anywhere."""
    high = torch.sigmoid(1.3 + 1.2 * torch.randn(count, generator=generator))
    anywhere = torch.rand(count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < 0.1, anywhere, high)


def predict_velocity(
    model: nn.Module, noisy: torch.Tensor, references: torch.Tensor, times: torch.Tensor, text: torch.Tensor
) -> torch.Tensor:
    """Run the transformer on tokens (B, S, C), with references (B, N*S, C), N from 0."""
    count = references.shape[1] // noisy.shape[1]
    velocity: torch.Tensor = model(
        hidden_states=torch.cat([noisy, references], 1),
        timestep=times,
        encoder_hidden_states=text,
        img_ids=picture_ids(count).to(noisy.device),
        txt_ids=text_ids(text.shape[1]).to(noisy.device),
        return_dict=False,
    )[0]
    return velocity[:, : noisy.shape[1]]


def object_weights(clean: torch.Tensor, weight: float = 6.0) -> torch.Tensor:
    """Weight (B, S) of every token: those that differ from the plain background count more; mean 1."""
    background = clean.median(1, keepdim=True).values
    differs = (clean - background).abs().amax(-1) > 0.5
    weights = 1 + (weight - 1) * differs.float()
    return weights / weights.mean()


def flow_loss(
    model: nn.Module,
    clean: torch.Tensor,
    references: torch.Tensor,
    text: torch.Tensor,
    noise: torch.Tensor,
    times: torch.Tensor,
) -> torch.Tensor:
    """Rectified-flow loss: predict ``noise - clean`` from their mixture at each sample's noise level."""
    t = times[:, None, None]
    velocity = predict_velocity(model, (1 - t) * clean + t * noise, references, times, text)
    errors = ((velocity.float() - (noise - clean)) ** 2).mean(-1)
    return (errors * object_weights(clean)).mean()
