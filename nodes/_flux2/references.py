"""Pictures to latents, resized and normalised as the pipelines do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from numpy.typing import NDArray
from torch import Tensor

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.nodes._flux2 import pipelines
from limner.nodes.sizes import CELL, MAX_REFERENCE_PIXELS
from limner.nodes.values import VAE, Image, Latent

Encode = Callable[[AutoencoderKLFlux2, NDArray[np.uint8]], Tensor]


def encode_batch(ctx: Context, vae: VAE, images: Image, encode: Encode) -> Latent:
    """A batch of pictures, one after the other. Raises InputError where a side is too short."""
    _, height, width, _ = images.pixels.shape
    if min(width, height) < CELL:
        raise InputError(f"the picture is {width}x{height}; a side has at least {CELL} pixels")
    with ctx.hold(vae) as live:
        latents = []
        for number, picture in enumerate(images.pixels, start=1):
            latents.append(encode(live, picture))
            ctx.progress(number, len(images.pixels))
        return Latent(torch.cat(latents))


def encode_reference(vae: AutoencoderKLFlux2, image: NDArray[np.uint8]) -> Tensor:
    """RGB uint8 (H, W, 3) -> (1, 128, H/16, W/16), on the CPU, in the VAE's dtype; sides are cut to multiples of 16."""
    return _encode(vae, image, "crop")


def encode_image(vae: AutoencoderKLFlux2, image: NDArray[np.uint8]) -> Tensor:
    """The same of a picture to work on: its sides are scaled to multiples of 16, as in Flux2KleinInpaintPipeline."""
    return _encode(vae, image, "default")


def encode_cut(vae: AutoencoderKLFlux2, image: NDArray[np.uint8]) -> Tensor:
    """The same of a picture of which nothing is scaled: what sides have over multiples of 16 is cut off all around."""
    rows, columns = (side % pipelines.CELL for side in image.shape[:2])
    top, left = rows // 2, columns // 2
    whole = image[top : image.shape[0] - (rows - top), left : image.shape[1] - (columns - left)]
    return _encode_pixels(vae, pipelines.pictures.preprocess(PIL.Image.fromarray(whole)))


def _encode(vae: AutoencoderKLFlux2, image: NDArray[np.uint8], fit: str) -> Tensor:
    return _encode_pixels(vae, _preprocess(PIL.Image.fromarray(image), fit))


@torch.no_grad()
def _encode_pixels(vae: AutoencoderKLFlux2, pixels: Tensor) -> Tensor:
    """(1, 3, H, W) in [-1, 1] -> (1, 128, H/16, W/16)"""
    pixels = pixels.to(device=pipelines.execution_device(vae), dtype=vae.dtype)
    latents = pipelines.patchify(vae.encode(pixels).latent_dist.mode())
    mean, std = statistics(vae, latents)
    return ((latents - mean) / std).cpu().contiguous()


def statistics(vae: AutoencoderKLFlux2, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the patchified latents, each (1, 128, 1, 1), placed and typed like ``like``."""
    bn: Any = vae.bn  # it has statistics, which its class declares optional
    mean = bn.running_mean.view(1, -1, 1, 1).to(like.device, like.dtype)
    std = torch.sqrt(bn.running_var.view(1, -1, 1, 1) + vae.config["batch_norm_eps"]).to(like.device, like.dtype)
    return mean, std


def _preprocess(image: PIL.Image.Image, fit: str) -> Tensor:
    image = pipelines.pictures._resize_if_exceeds_area(image, MAX_REFERENCE_PIXELS)
    width, height = (side // pipelines.CELL * pipelines.CELL for side in image.size)
    pixels: Tensor = pipelines.pictures.preprocess(image, height=height, width=width, resize_mode=fit)
    return pixels
