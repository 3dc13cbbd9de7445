"""The nodes composed are the stock pipelines: the same latents, the same tensors, the same pictures, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from limner.nodes import Denoise, EncodeReferences, TextEncode, VAEDecode
from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.decode import decode, denormalise
from limner.nodes.values import References

PROMPT = "a red circle on a #203040 background"
KINDS = ("dev", "klein", "klein-base")
DTYPES = ("float32", "bfloat16")

Compare = Callable[..., None]


@pytest.fixture
def compare(load_model: Any, new_context: Any, stock_pipeline: Any) -> Compare:
    """Run nodes and pipeline with the same settings, and demand the same bits of every output type."""

    def run(kind: str, dtype: str, references: References | None = None, **settings: Any) -> None:
        settings = {"steps": 3, "guidance": 2.0, "seed": 7} | settings
        if references is None:
            settings = {"height": 32, "width": 48} | settings
        ours = run_nodes(new_context(), load_model(kind, dtype), references, settings)
        stock = run_stock(stock_pipeline(kind, dtype), references, settings)
        for output in ("latent", "pt"):
            assert ours[output].dtype == stock[output].dtype
            assert torch.equal(ours[output] if kind != "dev" else ours[output + "-dev"], stock[output]), output
        assert ours["pil"] == [picture.tobytes() for picture in stock["pil"]]

    return run


def run_nodes(ctx: Any, model: Any, references: References | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Our outputs by diffusers' name for them."""
    conditioning = TextEncode(prompt=PROMPT).run(ctx, model.text_encoder)
    encoded = None if references is None else EncodeReferences().run(ctx, model.vae, references)
    latent = Denoise(**settings).run(ctx, model.transformer, conditioning, encoded)
    with ctx.hold(model.vae) as vae:
        tensor = pipelines.pictures.postprocess(decode(vae, latent.samples), output_type="pt")
        klein_latent = denormalise(vae, latent.samples)
    return {
        "latent": klein_latent,
        "latent-dev": latent.samples.flatten(2).permute(0, 2, 1),  # dev gives tokens
        "pt": tensor,
        "pt-dev": tensor,
        "pil": [pixels.tobytes() for pixels in VAEDecode().run(ctx, model.vae, latent).pixels],
    }


def run_stock(pipeline: Any, references: References | None, settings: dict[str, Any]) -> dict[str, Any]:
    """What the pipeline gives for each output type."""
    seeds = range(settings["seed"], settings["seed"] + settings.get("batch", 1))
    call = {
        "prompt": PROMPT,
        "image": None if references is None else [PIL.Image.fromarray(image) for image in references.images],
        "num_inference_steps": settings["steps"],
        "guidance_scale": settings["guidance"],
        "num_images_per_prompt": len(seeds),
        "height": settings.get("height"),
        "width": settings.get("width"),
    }
    outputs = {}
    for output in ("latent", "pt", "pil"):
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        outputs[output] = pipeline(**call, generator=generators, output_type=output)
    return outputs


def pictures(count: int, *sizes: tuple[int, int]) -> References:
    """Random pictures of different heights and widths, most of them no multiples of 16."""
    generator = np.random.default_rng(count)
    sizes = sizes or ((64, 80), (100, 64), (64, 64), (70, 90))
    shapes = [(*sizes[index % len(sizes)], 3) for index in range(count)]
    return References(tuple(generator.integers(0, 256, shape, dtype=np.uint8) for shape in shapes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("references", [0, 1, 2, 10])
def test_any_number_of_references(compare: Compare, kind: str, dtype: str, references: int) -> None:
    """Both families, both precisions, and as many references as FLUX.2 takes."""
    compare(kind, dtype, pictures(references) if references else None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("references", [0, 2])
def test_a_batch_of_seeds(compare: Compare, kind: str, dtype: str, references: int) -> None:
    """A batch is what a list of generators gives, one a seed."""
    compare(kind, dtype, pictures(references) if references else None, batch=3, seed=2**64 - 3)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 1.5, 7.0])
@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_guidance(compare: Compare, kind: str, guidance: float) -> None:
    """Embedded in dev; by a second, negative call in klein base, and only above 1."""
    compare(kind, "float32", guidance=guidance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [(16, 16), (112, 32), (32, 112)])
def test_sizes(compare: Compare, kind: str, width: int, height: int) -> None:
    """Squares, wide and tall pictures."""
    compare(kind, "float32", width=width, height=height)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_step_counts(compare: Compare, steps: int) -> None:
    """The schedule depends on the number of steps."""
    compare("dev", "float32", steps=steps)


def test_a_size_wins_over_that_of_the_reference(compare: Compare) -> None:
    """One side given, the other taken from the first reference, as in the pipelines."""
    compare("klein", "float32", pictures(1), width=32)


def test_references_of_more_than_a_megapixel(compare: Compare) -> None:
    """They are scaled down to one before they are encoded."""
    compare("klein", "float32", pictures(1, (600, 2000)), steps=1, width=32, height=32)
