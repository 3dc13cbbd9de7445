"""The nodes composed are the stock pipelines: the same latents, the same pixels, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from limner.nodes import Denoise, EncodeReferences, TextEncode, VAEDecode
from limner.nodes._flux2.decode import denormalise
from limner.nodes.values import References

PROMPT = "a red circle on a #203040 background"
DTYPES = ("float32", "bfloat16")


def pictures(count: int) -> References:
    """Random pictures of different sizes, the third larger than a megapixel."""
    generator = np.random.default_rng(count)
    sizes = [(64, 80), (100, 64), (64, 64), (70, 90)]
    return References(
        tuple(generator.integers(0, 256, (*sizes[i % 4], 3), dtype=np.uint8) for i in range(count)),
    )


@pytest.fixture
def compare(load_model: Any, new_context: Any, stock_pipeline: Any) -> Callable[..., None]:
    """Run the nodes and the pipeline with the same settings, and demand the same bits."""

    def run(kind: str, dtype: str, references: References | None = None, **settings: Any) -> None:
        ctx, model = new_context(), load_model(kind, dtype)
        conditioning = TextEncode(prompt=PROMPT).run(ctx, model.text_encoder)
        encoded = None if references is None else EncodeReferences().run(ctx, model.vae, references)
        latent = Denoise(**settings).run(ctx, model.transformer, conditioning, encoded)
        images = VAEDecode().run(ctx, model.vae, latent)

        seeds = range(settings.get("seed", 0), settings.get("seed", 0) + settings.get("batch", 1))
        call = {
            "prompt": PROMPT,
            "image": None if references is None else [PIL.Image.fromarray(image) for image in references.images],
            "num_inference_steps": settings.get("steps", 3),
            "guidance_scale": settings.get("guidance", 2.0),
            "num_images_per_prompt": len(seeds),
            "height": settings.get("height", 32 if references is None else None),
            "width": settings.get("width", 48 if references is None else None),
        }
        stock = {
            kind: stock_pipeline_call(stock_pipeline, call, seeds, kind, model_kind, dtype)
            for kind, model_kind in (("latent", kind), ("pil", kind))
        }
        assert torch.equal(stock["latent"], expected_latent(kind, ctx, model, latent))
        assert [picture.tobytes() for picture in stock["pil"]] == [pixels.tobytes() for pixels in images.pixels]

    return run


def stock_pipeline_call(
    stock_pipeline: Any, call: dict[str, Any], seeds: range, output: str, kind: str, dtype: str
) -> Any:
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    return stock_pipeline(kind, dtype)(**call, generator=generators, output_type=output)


def expected_latent(kind: str, ctx: Any, model: Any, latent: Any) -> torch.Tensor:
    """Our latents in the form in which the pipeline of this family gives them."""
    if kind == "dev":
        return latent.samples.flatten(2).permute(0, 2, 1)
    with ctx.hold(model.vae) as vae:
        return denormalise(vae, latent.samples)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["dev", "klein", "klein-base"])
@pytest.mark.parametrize("references", [0, 1, 2, 10])
def test_nodes_equal_the_pipeline(compare: Any, kind: str, dtype: str, references: int) -> None:
    """Prompt and any number of references give the pipeline's latents and pictures, in both precisions."""
    compare(kind, dtype, pictures(references) if references else None, seed=7)
