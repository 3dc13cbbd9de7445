"""References are encoded one by one, sized as the pipelines size them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from limner.engine.errors import Cancelled
from limner.nodes import EncodeReferences
from limner.nodes.values import ReferenceLatents, References


def grey(*sizes: tuple[int, int]) -> References:
    return References(tuple(np.full((*size, 3), 100 + index, dtype=np.uint8) for index, size in enumerate(sizes)))


def test_sides_are_cut_to_multiples_of_sixteen(load_model: Any, new_context: Any) -> None:
    ctx = new_context()
    encoded = EncodeReferences().run(ctx, load_model("dev").vae, grey((64, 79), (95, 64)))
    assert [tuple(latent.shape) for latent in encoded.latents] == [(1, 16, 4, 4), (1, 16, 5, 4)]
    assert ctx.steps == [(1, 2), (2, 2)]


def test_the_values_are_those_of_the_vae_and_lie_on_the_cpu(load_model: Any, new_context: Any) -> None:
    """Each is what it would be alone, survives its bytes, and has the VAE's precision."""
    for dtype in ("float32", "bfloat16"):
        vae = load_model("dev", dtype).vae
        both = EncodeReferences().run(new_context(), vae, grey((64, 64), (64, 96)))
        alone = EncodeReferences().run(new_context(), vae, grey((64, 64)))
        assert torch.equal(both.latents[0], alone.latents[0])
        back = ReferenceLatents.from_bytes(both.to_bytes())
        assert all(torch.equal(a, b) for a, b in zip(both.latents, back.latents, strict=True))
        assert {latent.dtype for latent in both.latents} == {getattr(torch, dtype)}
        assert {latent.device.type for latent in both.latents} == {"cpu"}


def test_it_stops_between_pictures(load_model: Any, new_context: Any) -> None:
    ctx = new_context(cancel_at=1)
    with pytest.raises(Cancelled):
        EncodeReferences().run(ctx, load_model("dev").vae, grey((64, 64), (64, 64)))
    assert ctx.steps == [(1, 2)]
