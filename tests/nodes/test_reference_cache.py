"""References computed once: the stock pipeline's pictures to the bit, whatever was interrupted, and nothing left on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from small_models import LAYERS, LENGTH
from torch import Tensor

from limner.engine.errors import Cancelled, InputError, ModelError
from limner.nodes import Denoise, EncodeReferences, TextEncode
from limner.nodes._flux2.decode import denormalise
from limner.nodes.values import Latent, References

PROMPT = "a red circle on a #203040 background"
Draw = Callable[..., Latent]


@pytest.fixture
def draw(load_model: Any, new_context: Any) -> Draw:
    """Denoise with so many references; ``ctx`` may be one that stops or has stopped."""

    def run(kind: str, dtype: str, count: int, ctx: Any = None, **settings: Any) -> Latent:
        model = load_model(kind, dtype)
        conditioning = TextEncode(prompt=PROMPT).run(new_context(), model.text_encoder)
        encoded = EncodeReferences().run(new_context(), model.vae, pictures(count))
        node = Denoise(**{"steps": 4, "guidance": 1.0, "seed": 7, "reference_cache": True} | settings)
        return node.run(ctx or new_context(), model.transformer, conditioning, encoded)

    return run


def pictures(count: int) -> References:
    generator = np.random.default_rng(count)
    shapes = [((64, 80, 3), (100, 64, 3), (64, 64, 3))[index % 3] for index in range(count)]
    return References(tuple(generator.integers(0, 256, shape, dtype=np.uint8) for shape in shapes))


def stock(folder: Path, dtype: str, count: int, seeds: range) -> Tensor:
    """What Flux2KleinKVPipeline draws, as latents."""
    from diffusers import Flux2KleinKVPipeline

    pipeline = Flux2KleinKVPipeline.from_pretrained(folder, dtype=getattr(torch, dtype), is_distilled=True)
    pipeline.set_progress_bar_config(disable=True)
    latents: Tensor = pipeline(
        image=[PIL.Image.fromarray(image) for image in pictures(count).images],
        prompt=PROMPT,
        num_inference_steps=4,
        num_images_per_prompt=len(seeds),
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        output_type="latent",
        max_sequence_length=LENGTH,
        text_encoder_out_layers=LAYERS,
    )[0]
    return latents


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["klein", "klein-base"])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_it_is_the_stock_pipeline(
    draw: Draw,
    load_model: Any,
    new_context: Any,
    model_folder: Any,
    kind: str,
    dtype: str,
    count: int,
    batch: int,
) -> None:
    """Any number of references, both precisions, batches; undistilled klein without guidance."""
    latent = draw(kind, dtype, count, batch=batch)
    with new_context().hold(load_model(kind, dtype).vae) as vae:
        ours = denormalise(vae, latent.samples)
    assert torch.equal(ours, stock(model_folder(kind), dtype, count, range(7, 7 + batch)))


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cancelled_run_goes_on_to_the_same_bytes(
    draw: Draw, new_context: Any, dtype: str, guidance: float, step: int
) -> None:
    """What was kept of the references is no part of a checkpoint: it is computed again, from the same numbers."""
    settings = {"batch": 2, "guidance": guidance}
    whole = draw("klein-base", dtype, 2, **settings)
    stopped = new_context(cancel_at=step)
    with pytest.raises(Cancelled):
        draw("klein-base", dtype, 2, stopped, **settings)
    resumed = new_context(kept=stopped.kept)
    latent = draw("klein-base", dtype, 2, resumed, **settings)
    assert resumed.steps == [(number, 4) for number in range(step + 1, 5)]
    assert latent.to_bytes() == whole.to_bytes()


def test_each_prompt_of_guidance_keeps_its_own(draw: Draw) -> None:
    """Guided steps are what the two prompts give, combined: with a guidance of 1.0 the second has no say."""
    guided = draw("klein-base", "float32", 1, guidance=1.0 + 1e-6).samples
    torch.testing.assert_close(guided, draw("klein-base", "float32", 1, guidance=1.0).samples)
    assert not torch.allclose(guided, draw("klein-base", "float32", 1, guidance=3.0).samples)


def test_it_leaves_nothing_behind(draw: Draw, new_context: Any) -> None:
    """Whoever draws without it afterwards gets the stock picture, also where a run with it was stopped."""
    before = draw("klein", "float32", 2, reference_cache=False)
    cached = draw("klein", "float32", 2)
    with pytest.raises(Cancelled):
        draw("klein", "float32", 2, new_context(cancel_at=2))
    assert draw("klein", "float32", 2, reference_cache=False).to_bytes() == before.to_bytes()
    assert cached.to_bytes() != before.to_bytes()


def test_it_takes_the_attention_that_is_asked_for(draw: Draw) -> None:
    """It brings attention of its own, which is computed by the backend of the node."""
    plain, chosen = (draw("klein", "bfloat16", 1, attention=name).samples for name in ("", "_native_math"))
    torch.testing.assert_close(plain, chosen, atol=0.1, rtol=0.1)


def test_without_references_it_is_a_fault() -> None:
    """It would do nothing."""
    node = Denoise(reference_cache=True)
    assert list(node.problems({"references": 1})) == []
    assert [setting for setting, _ in node.problems({})] == ["reference_cache"]


def test_where_it_cannot_be_is_said(draw: Draw, load_model: Any, new_context: Any) -> None:
    """Dev has no such pipeline; and a setting that came over a wire is checked when it is known."""
    with pytest.raises(ModelError, match="this is FLUX"):
        draw("dev", "float32", 1)
    model = load_model("klein")
    conditioning = TextEncode(prompt=PROMPT).run(new_context(), model.text_encoder)
    with pytest.raises(InputError, match="no references"):
        Denoise(reference_cache=True).run(new_context(), model.transformer, conditioning)
