"""The embedded model is a FLUX.2 like any other, and the defaults of the nodes draw with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import Flux2KleinPipeline

from limner.engine.testing import FakeContext
from limner.nodes import Denoise, EncodeReferences, LoadModel, TextEncode, VAEDecode
from limner.nodes._flux2.index import read_index
from limner.nodes._flux2.settings import read_settings
from limner.nodes._flux2.source import local_folder
from limner.nodes.values import Image, References

PROMPT = "a large red circle in the center on a #203040 background"


def draw(ctx: Any, references: References | None = None, **settings: Any) -> Image:
    model = LoadModel().run(FakeContext())
    conditioning = TextEncode(prompt=PROMPT).run(ctx, model.text_encoder)
    encoded = None if references is None else EncodeReferences().run(ctx, model.vae, references)
    latent = Denoise(**settings).run(ctx, model.transformer, conditioning, encoded)
    return VAEDecode().run(ctx, model.vae, latent)


def test_it_is_there_and_has_no_faults() -> None:
    assert list(LoadModel().problems()) == []
    assert LoadModel().fingerprint().startswith("sha256:")


@pytest.mark.parametrize("has_reference", [False, True])
def test_the_stock_pipeline_draws_the_same(new_context: Any, has_reference: bool) -> None:
    """With the arguments that its ``limner.json`` names."""
    folder = local_folder("tiny")
    assert folder is not None
    own = read_settings(folder, read_index(folder))
    pipeline = Flux2KleinPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    side = own.defaults.width
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    (wanted,) = pipeline(
        prompt=PROMPT,
        image=PIL.Image.fromarray(pixels) if has_reference else None,
        width=side,
        height=own.defaults.height,
        num_inference_steps=4,
        guidance_scale=own.defaults.guidance,
        generator=torch.Generator().manual_seed(3),
        max_sequence_length=own.text.max_sequence_length,
        text_encoder_out_layers=own.text.out_layers,
    ).images
    found = draw(new_context(), References((pixels,)) if has_reference else None, steps=4, seed=3)
    np.testing.assert_array_equal(found.pixels[0], np.array(wanted))


def test_its_previews_look_like_the_picture(new_context: Any) -> None:
    """The map was fitted: the last preview is the picture made small, within a few percent."""
    ctx = new_context()
    images = draw(ctx, seed=1)
    preview = ctx.previews[-1].pixels[0].astype(float)
    rows, columns, _ = preview.shape
    small = images.pixels[0].reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3))
    assert np.abs(preview - small).mean() < 16
