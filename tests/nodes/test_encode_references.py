"""References are encoded one by one, sized as the pipelines size them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from limner.engine.errors import Cancelled
from limner.engine.testing import FakeContext
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


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a VAE encodes."""
    from diffusers import AutoencoderKLFlux2

    counted: list[int] = []
    encode = AutoencoderKLFlux2.encode

    def count(vae: Any, pixels: Any) -> Any:
        counted.append(len(pixels))
        return encode(vae, pixels)

    monkeypatch.setattr(AutoencoderKLFlux2, "encode", count)
    return counted


def test_each_picture_is_encoded_once(load_model: Any, new_context: Any, encodes: list[int]) -> None:
    """Of ten pictures of which one was swapped, one; of two that are the same, one; to the same bits as alone."""
    ten = grey(*[(64, 64)] * 10)
    other = np.full((80, 64, 3), 7, dtype=np.uint8)
    swapped = References((*ten.images[:4], other, *ten.images[5:]))
    twice = References((other + 1, ten.images[2], other + 1))
    parts: dict[str, bytes] = {}
    for references, expected in ((ten, 10), (swapped, 1), (twice, 1), (References(ten.images[::-1]), 0)):
        encodes.clear()
        found = EncodeReferences().run(new_context(parts=parts), load_model("dev").vae, references)
        assert len(encodes) == expected
        for image, latent in zip(references.images, found.latents, strict=True):
            (alone,) = EncodeReferences().run(new_context(), load_model("dev").vae, References((image,))).latents
            assert torch.equal(latent, alone)


def test_other_weights_encode_again(load_model: Any, new_context: Any, encodes: list[int]) -> None:
    """The same picture through another VAE, or in another precision, is another part."""
    parts: dict[str, bytes] = {}
    for spec in (load_model("dev").vae, load_model("dev", "bfloat16").vae, load_model("klein").vae):
        EncodeReferences().run(new_context(parts=parts), spec, grey((64, 64)))
    assert len(encodes) == len(parts) == 3


def test_where_all_is_known_no_model_is_held(load_model: Any, new_context: Any) -> None:
    vae, first = load_model("dev").vae, new_context()
    EncodeReferences().run(first, vae, grey((64, 64)))
    without_models = FakeContext(parts=first.parts)
    assert EncodeReferences().run(without_models, vae, grey((64, 64))).latents[0].shape == (1, 16, 4, 4)


def test_it_stops_between_pictures(load_model: Any, new_context: Any) -> None:
    ctx = new_context(cancel_at=1)
    with pytest.raises(Cancelled):
        EncodeReferences().run(ctx, load_model("dev").vae, grey((64, 64), (64, 64)))
    assert ctx.steps == [(1, 2)]
