"""Latents to pixels, as the pipelines end."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2Pipeline
from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor
from diffusers.utils.torch_utils import get_module_execution_device
from numpy.typing import NDArray
from torch import Tensor

from limner.nodes._flux2.index import VAE_SCALE
from limner.nodes._flux2.references import statistics


@torch.no_grad()
def decode(vae: AutoencoderKLFlux2, samples: Tensor) -> Tensor:
    """(N, 128, H/16, W/16) -> RGB in about [-1, 1], (N, 3, H, W), on the VAE's device."""
    latents = denormalise(vae, samples.to(get_module_execution_device(vae)))
    images: Tensor = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
    return images


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """RGB in [-1, 1], (N, 3, H, W) -> uint8 (N, H, W, 3), rounded as the pipelines do."""
    unit = Flux2ImageProcessor(vae_scale_factor=2 * VAE_SCALE).postprocess(images, output_type="np")
    pixels: NDArray[np.uint8] = (unit * 255).round().astype("uint8")
    return pixels


def denormalise(vae: AutoencoderKLFlux2, samples: Tensor) -> Tensor:
    """(N, 128, H/16, W/16), normalised -> (N, 32, H/8, W/8), what the VAE decodes.

    The way through tokens gives the memory layout that the pipelines have, and so the same bits from the VAE.
    """
    ids = Flux2Pipeline._prepare_latent_ids(samples).to(samples.device)
    latents = Flux2Pipeline._unpack_latents_with_ids(Flux2Pipeline._pack_latents(samples), ids)
    mean, std = statistics(vae, latents)
    result: Tensor = Flux2Pipeline._unpatchify_latents(latents * std + mean)
    return result
