"""Repainting a part of a picture: the loop of Flux2KleinInpaintPipeline, on the one of ``sampling``."""

from __future__ import annotations

from collections.abc import Iterator

import PIL.Image
import torch
from torch import Tensor

from limner.engine.errors import InputError
from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.live import LiveTransformer
from limner.nodes._flux2.sampling import AfterStep, Plan, Step, denoise, noise, schedule
from limner.nodes.values import MAX_REFERENCES, Conditioning, Mask, ReferenceLatents


def inpaint(
    live: LiveTransformer,
    plan: Plan,
    image: Tensor,
    shares: Tensor,
    conditioning: Conditioning,
    references: ReferenceLatents | None,
    device: str,
    start: tuple[int, Tensor],
) -> Iterator[Step]:
    """Yield every step that follows ``start``, a step and its samples, on ``image`` (1, 128, H/16, W/16).

    After each step, the share of each token that is not repainted becomes the picture again, with as much noise as is
    left. The picture itself is the first reference. Equal to Flux2KleinInpaintPipeline to the bit. Raises InputError as
    ``denoise``, and where there are too many references.
    """
    others = () if references is None else references.latents
    if len(others) >= MAX_REFERENCES:
        raise InputError(f"besides the picture, {MAX_REFERENCES - 1} references are possible, not {len(others)}")
    read = ReferenceLatents((image, *others))
    blend = _blend(live, plan, image.to(device, live.model.dtype), shares, device)
    return denoise(live, plan, conditioning, read, device, start, blend)


def noised(live: LiveTransformer, plan: Plan, image: Tensor, step: int, device: str) -> Tensor:
    """The picture once a seed, with as much noise as is left after ``step``: (N, 128, H/16, W/16).

    Raises InputError for the latents of another model.
    """
    if image.shape[1] != live.channels:
        raise InputError(
            f"the picture's latents have {image.shape[1]} channels, and this transformer reads {live.channels}",
            hint="take VAE and transformer from the same model",
        )
    scheduler, timesteps = schedule(live, plan, device)
    scheduler.set_begin_index(step)
    images = torch.cat([image.to(device, live.model.dtype)] * len(plan.seeds))
    timestep = timesteps[step : step + 1].repeat(len(images))
    samples: Tensor = scheduler.scale_noise(images, timestep, noise(live, plan, device))
    return samples


def on_tokens(mask: Mask, width: int, height: int) -> Tensor:
    """What of each token is repainted, (1, 1, H/16, W/16) in [0, 1]: black or white pixels, of each token four."""
    pixels = pipelines.masks.preprocess(PIL.Image.fromarray(mask.values), height=height, width=width)  # (1, 1, H, W)
    grid = (height // pipelines.CELL, width // pipelines.CELL)
    return torch.nn.functional.interpolate(pixels, size=grid, mode="bilinear")


def _blend(live: LiveTransformer, plan: Plan, image: Tensor, shares: Tensor, device: str) -> AfterStep:
    count, dtype = len(plan.seeds), live.model.dtype
    repainted = pipelines.pack(shares.to(device, dtype).repeat(count, 1, 1, 1))  # (N, S, 1)
    kept = pipelines.pack(torch.cat([image] * count))  # (N, S, 128)
    added = pipelines.pack(noise(live, plan, device))

    def blend(latents: Tensor, sigma: Tensor) -> Tensor:
        share = sigma.to(device, dtype).view(1, 1, 1)
        original = share * added + (1.0 - share) * kept
        return (1 - repainted) * original + repainted * latents

    return blend
