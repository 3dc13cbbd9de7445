"""Latents to pixels, as the pipelines end."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from numpy.typing import NDArray
from torch import Tensor

from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.references import statistics


@torch.no_grad()
def decode(vae: AutoencoderKLFlux2, samples: Tensor) -> Tensor:
    """(N, 128, H/16, W/16) -> RGB in about [-1, 1], (N, 3, H, W), on the VAE's device."""
    latents = denormalise(vae, samples.to(pipelines.execution_device(vae)))
    images: Tensor = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
    return images


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """RGB in [-1, 1], (N, 3, H, W) -> uint8 (N, H, W, 3), rounded as the pipelines do."""
    unit = pipelines.pictures.postprocess(images, output_type="np")
    pixels: NDArray[np.uint8] = (unit * 255).round().astype("uint8")
    return pixels


def denormalise(vae: AutoencoderKLFlux2, samples: Tensor) -> Tensor:
    """(N, 128, H/16, W/16), normalised -> (N, 32, H/8, W/8), what the VAE decodes.

    The way through tokens gives the memory layout that the pipelines have, and so the same bits from the VAE.
    """
    latents = pipelines.unpack(pipelines.pack(samples), pipelines.latent_ids(samples).to(samples.device))
    mean, std = statistics(vae, latents)
    return pipelines.unpatchify(latents * std + mean)
