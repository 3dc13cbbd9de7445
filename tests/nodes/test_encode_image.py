"""A picture to work on is scaled to multiples of 16 and becomes the latents that it would be as a reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from limner.engine.errors import InputError
from limner.nodes import EncodeImage, EncodeReferences
from limner.nodes.values import Image, References


def noise(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_at_multiples_of_sixteen_it_is_a_reference(load_model: Any, new_context: Any) -> None:
    """To the bit, picture by picture; elsewhere it is scaled where a reference is cut."""
    vae, ctx = load_model("klein").vae, new_context()
    batch = noise(2, 64, 80, 3)
    latents = EncodeImage().run(ctx, vae, Image(batch)).samples
    references = EncodeReferences().run(new_context(), vae, References(tuple(batch))).latents
    assert torch.equal(latents, torch.cat(references))
    assert ctx.steps == [(1, 2), (2, 2)]
    odd = noise(1, 70, 90, 3)
    scaled = EncodeImage().run(new_context(), vae, Image(odd)).samples
    (cut,) = EncodeReferences().run(new_context(), vae, References((odd[0],))).latents
    assert scaled.shape == cut.shape == (1, 16, 4, 5)
    assert not torch.equal(scaled, cut)


def test_a_side_has_at_least_sixteen_pixels(load_model: Any, new_context: Any) -> None:
    with pytest.raises(InputError, match="the picture is 40x15; a side has at least 16 pixels"):
        EncodeImage().run(new_context(), load_model("klein").vae, Image(noise(1, 15, 40, 3)))
