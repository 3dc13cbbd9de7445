"""The pieces of diffusers' pipelines that we stand on, with the types that diffusers leaves out or gets wrong.

Whatever changes in diffusers shows here first. Both pipelines have the same helpers; where it matters not, dev's are
taken. Shapes: N pictures, C = 128 channels, grids of H by W latent cells, L tokens of D numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.flux2 import pipeline_flux2
from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor
from diffusers.pipelines.flux2.pipeline_flux2 import Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from diffusers.utils import torch_utils
from torch import Tensor, device

from limner.nodes._flux2.index import VAE_SCALE

_dev: Any = Flux2Pipeline
_klein: Any = Flux2KleinPipeline
_functions: Any = pipeline_flux2
_torch: Any = torch_utils

CELL = 2 * VAE_SCALE
"""Pixels a side of what becomes one token: a patch of 2 by 2 cells of the VAE."""

mistral_embeds: Callable[..., Tensor] = _dev._get_mistral_3_small_prompt_embeds
"""Prompts -> (N, L, D)"""
qwen_embeds: Callable[..., Tensor] = _klein._get_qwen3_prompt_embeds
"""Prompts -> (N, L, D)"""

patchify: Callable[[Tensor], Tensor] = _dev._patchify_latents
"""(N, C/4, 2H, 2W) -> (N, C, H, W)"""
unpatchify: Callable[[Tensor], Tensor] = _dev._unpatchify_latents
"""(N, C, H, W) -> (N, C/4, 2H, 2W)"""
pack: Callable[[Tensor], Tensor] = _dev._pack_latents
"""(N, C, H, W) -> (N, H*W, C)"""
unpack: Callable[[Tensor, Tensor], Tensor] = _dev._unpack_latents_with_ids
"""Tokens (N, H*W, C) and their ids -> (N, C, H, W)"""

text_ids: Callable[[Tensor], Tensor] = _dev._prepare_text_ids
"""(N, L, D) -> (N, L, 4)"""
latent_ids: Callable[[Tensor], Tensor] = _dev._prepare_latent_ids
"""(N, C, H, W) -> (N, H*W, 4)"""
image_ids: Callable[[list[Tensor]], Tensor] = _dev._prepare_image_ids
"""References, each (1, C, H, W) -> (1, R, 4) with T = 10, 20, ..."""

empirical_mu: Callable[[int, int], float] = _functions.compute_empirical_mu
"""Tokens and steps -> the shift of the schedule"""
retrieve_timesteps: Callable[..., tuple[Tensor, int]] = _functions.retrieve_timesteps
"""Set a scheduler's timesteps and read them back"""
randn: Callable[..., Tensor] = _torch.randn_tensor
"""Noise from one generator a picture"""
execution_device: Callable[[object], device] = _torch.get_module_execution_device
"""Where a module computes, even while its weights are elsewhere"""

pictures: Any = Flux2ImageProcessor(vae_scale_factor=CELL)
"""Pixels to tensors and back; it has no state"""
masks: Any = Flux2ImageProcessor(
    vae_scale_factor=CELL, do_normalize=False, do_binarize=True, do_convert_rgb=False, do_convert_grayscale=True
)
"""Masks to tensors of 0 and 1"""
overlays: Any = VaeImageProcessor()
"""Pictures back into the picture that they were cut from. That of FLUX.2 cuts them where it should scale them"""
