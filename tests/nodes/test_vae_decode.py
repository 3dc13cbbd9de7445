"""Decoding gives pictures of the right size, also from latents that were stored or are of another precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from limner.nodes import VAEDecode
from limner.nodes.values import Latent


def noise(dtype: torch.dtype = torch.float32) -> Latent:
    return Latent(torch.randn(2, 16, 2, 3, generator=torch.Generator().manual_seed(0)).to(dtype))


def test_pictures_are_sixteen_times_the_latents(load_model: Any, new_context: Any) -> None:
    images = VAEDecode().run(new_context(), load_model("dev").vae, noise())
    assert images.pixels.shape == (2, 32, 48, 3)
    assert images.pixels.std() > 1


def test_stored_latents_decode_to_the_same_pictures(load_model: Any, new_context: Any) -> None:
    """Whatever their order in memory was."""
    vae, latent = load_model("dev").vae, noise()
    lain_otherwise = Latent(latent.samples.to(memory_format=torch.channels_last))
    first = VAEDecode().run(new_context(), vae, latent).pixels
    for other in (Latent.from_bytes(latent.to_bytes()), lain_otherwise):
        np.testing.assert_array_equal(VAEDecode().run(new_context(), vae, other).pixels, first)


def test_precisions_may_differ_between_transformer_and_vae(load_model: Any, new_context: Any) -> None:
    """A half-precision transformer on one device and a float32 VAE on another are common."""
    images = VAEDecode().run(new_context(), load_model("dev", "float32").vae, noise(torch.bfloat16))
    assert images.pixels.shape == (2, 32, 48, 3)
