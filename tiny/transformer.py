"""The denoiser: a small Flux2Transformer2DModel, and the flow-matching loss it learns from."""

from functools import cache

import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import nn

from limner.tiny.text import WIDTH
from limner.tiny.vae import LATENT_CHANNELS

GRID = 8  # tokens along one side of a 128-pixel picture
CHANNELS = 4 * LATENT_CHANNELS
COLOR_WEIGHT = 0.3  # of the mean error of an object and of its background, whose squares would be too small to matter
EVENLY = 0.1  # share of noise levels drawn from all; the others are where shape and place are decided
REFERENCE_STRIDE = 10  # between the time coordinates of reference pictures, as in the pipeline


def build_transformer() -> Flux2Transformer2DModel:
    """Build the transformer: klein's layout without guidance embedding, more rotary width for the two axes in use."""
    model: Flux2Transformer2DModel = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=CHANNELS,
        num_layers=1,
        num_single_layers=5,
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


def sample_times(count: int, generator: torch.Generator, evenly: float = EVENLY) -> torch.Tensor:
    """Draw noise levels: mostly high ones; a share ``evenly`` anywhere."""
    high = torch.sigmoid(1.3 + 1.2 * torch.randn(count, generator=generator))
    anywhere = torch.rand(count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < evenly, anywhere, high)


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


def differs_from_background(clean: torch.Tensor) -> torch.Tensor:
    """Say (B, S) which tokens differ from the plain background: an object's."""
    background = clean.median(1, keepdim=True).values
    return (clean - background).abs().amax(-1) > 0.5


def object_weights(is_object: torch.Tensor, weight: float = 6.0) -> torch.Tensor:
    """Weight (B, S) of every token: those of objects count more; mean 1."""
    weights = 1 + (weight - 1) * is_object.float()
    return weights / weights.mean()


def mean_error(errors: torch.Tensor, is_there: torch.Tensor) -> torch.Tensor:
    """How far off (B, S, C) a part of each picture is on the whole: a wrong colour, where edges cancel out."""
    share = is_there.float()
    counts = share.sum(1, keepdim=True).clamp(min=1)
    return ((errors * share[..., None]).sum(1) / counts).abs().mean()


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
    errors = velocity.float() - (noise - clean)
    is_object = differs_from_background(clean)
    of_tokens = ((errors**2).mean(-1) * object_weights(is_object)).mean()
    return of_tokens + COLOR_WEIGHT * (mean_error(errors, is_object) + mean_error(errors, ~is_object))
