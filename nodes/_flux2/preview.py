"""A quick look at latents: a linear map to RGB that was fitted for the checkpoint's VAE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limner.nodes._flux2 import pipelines


@dataclass(frozen=True, eq=False)
class LatentPreview:
    """Maps normalised latents to small pictures, one pixel a latent cell."""

    weight: Tensor
    """(3, z), RGB in [0, 1] per channel of the VAE's latent."""
    bias: Tensor
    """(3,)"""
    mean: Tensor
    """(4 * z,), what the VAE's batch normalisation takes off."""
    std: Tensor
    """(4 * z,)"""

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> NDArray[np.uint8]:
        """(N, 4z, H/16, W/16) -> uint8 (N, H/8, W/8, 3)."""
        samples = samples.detach().to("cpu", torch.float32)
        latents = samples * self.std.view(1, -1, 1, 1) + self.mean.view(1, -1, 1, 1)
        latents = pipelines.unpatchify(latents)  # (N, z, H/8, W/8)
        rgb = torch.einsum("nzhw,cz->nhwc", latents, self.weight) + self.bias
        pixels: NDArray[np.uint8] = (rgb.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return pixels
