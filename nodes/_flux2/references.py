"""Reference pictures to latents, resized and normalised as the pipelines do it."""

from __future__ import annotations

import numpy as np
import PIL.Image
import torch
from diffusers import AutoencoderKLFlux2, Flux2Pipeline
from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor
from diffusers.utils.torch_utils import get_module_execution_device
from numpy.typing import NDArray
from torch import Tensor

from limner.nodes._flux2.index import VAE_SCALE

MAX_AREA = 1024 * 1024
"""Larger pictures are scaled down to this many pixels, as in the pipelines."""
_MULTIPLE = 2 * VAE_SCALE


@torch.no_grad()
def encode_reference(vae: AutoencoderKLFlux2, image: NDArray[np.uint8]) -> Tensor:
    """RGB uint8 (H, W, 3) -> (1, 128, H/16, W/16), on the CPU, in the VAE's dtype."""
    pixels = _preprocess(PIL.Image.fromarray(image))  # (1, 3, H, W) in [-1, 1]
    pixels = pixels.to(device=get_module_execution_device(vae), dtype=vae.dtype)
    latents = Flux2Pipeline._patchify_latents(vae.encode(pixels).latent_dist.mode())
    mean, std = statistics(vae, latents)
    normalised: Tensor = (latents - mean) / std
    return normalised.cpu().contiguous()


def statistics(vae: AutoencoderKLFlux2, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the patchified latents, each (1, 128, 1, 1), placed and typed like ``like``."""
    mean = vae.bn.running_mean.view(1, -1, 1, 1).to(like.device, like.dtype)
    std = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps).to(like.device, like.dtype)
    return mean, std


def _preprocess(image: PIL.Image.Image) -> Tensor:
    processor = Flux2ImageProcessor(vae_scale_factor=_MULTIPLE)
    image = processor._resize_if_exceeds_area(image, MAX_AREA)
    width, height = (side // _MULTIPLE * _MULTIPLE for side in image.size)
    pixels: Tensor = processor.preprocess(image, height=height, width=width, resize_mode="crop")
    return pixels
