"""The inpainting nodes composed are Flux2KleinInpaintPipeline: latents, decoded tensors and pictures, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from small_models import LAYERS, LENGTH

from limner.engine.errors import Cancelled
from limner.engine.testing import FakeContext
from limner.nodes import CropToMask, EncodeImage, EncodeReferences, Inpaint, Paste, TextEncode, VAEDecode
from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.decode import decode, denormalise
from limner.nodes.values import Image, Mask, References

PROMPT = "a red circle"
SIZE = (80, 64)
"""Width and height, multiples of 16."""


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> PIL.Image.Image:
    generator = np.random.default_rng(seed)
    return PIL.Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def blot(size: tuple[int, int] = SIZE) -> PIL.Image.Image:
    """A mask with a soft edge, somewhere right of the middle."""
    width, height = size
    across, down = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    distance = np.hypot(across - 0.6, down - 0.5)
    return PIL.Image.fromarray((255 * np.clip(2 - 6 * distance, 0, 1)).astype(np.uint8))


@pytest.fixture(scope="session")
def stock_inpaint(model_folder: Callable[..., Path]) -> Callable[[str, str], Any]:
    """The stock pipeline on the random models; each is loaded once."""
    from diffusers import Flux2KleinInpaintPipeline

    @cache
    def load(kind: str, dtype: str) -> Any:
        pipeline = Flux2KleinInpaintPipeline.from_pretrained(model_folder(kind), dtype=getattr(torch, dtype))
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return load


@pytest.fixture
def compare(load_model: Any, new_context: Any, stock_inpaint: Any) -> Callable[..., None]:
    """Run nodes and pipeline with the same settings, and demand the same bits of every output type."""

    def run(
        kind: str, dtype: str = "float32", reference: Any = None, image: Any = None, mask: Any = None, **settings: Any
    ) -> None:
        settings = {"steps": 4, "guidance": 2.0, "seed": 7, "strength": 0.6} | settings
        image, mask = image or picture(), mask or blot()
        ours = run_nodes(new_context(), load_model(kind, dtype), image, mask, reference, settings)
        stock = run_stock(stock_inpaint(kind, dtype), image, mask, reference, settings)
        for output in ("latent", "pt"):
            assert ours[output].dtype == stock[output].dtype
            assert torch.equal(ours[output], stock[output]), output
        assert ours["pil"] == [one.tobytes() for one in stock["pil"]]

    return run


def encoded(ctx: Any, model: Any, image: PIL.Image.Image, reference: PIL.Image.Image | None) -> dict[str, Any]:
    """The wires of Inpaint, but for its mask."""
    found = {
        "transformer": model.transformer,
        "conditioning": TextEncode(prompt=PROMPT).run(ctx, model.text_encoder),
        "image": EncodeImage().run(ctx, model.vae, Image(np.array(image)[None])),
    }
    if reference is not None:
        found["references"] = EncodeReferences().run(ctx, model.vae, References((np.array(reference),)))
    return found


def run_nodes(ctx: Any, model: Any, image: Any, mask: Any, reference: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Our outputs by diffusers' name for them."""
    wires = encoded(ctx, model, image, reference)
    latent = Inpaint(**settings).run(ctx, **wires, mask=Mask(np.array(mask.convert("L"))))
    with ctx.hold(model.vae) as vae:
        tensor = pipelines.pictures.postprocess(decode(vae, latent.samples), output_type="pt")
        stock_latent = denormalise(vae, latent.samples)
    pixels = VAEDecode().run(ctx, model.vae, latent).pixels
    return {"latent": stock_latent, "pt": tensor, "pil": [one.tobytes() for one in pixels]}


def run_stock(
    pipeline: Any,
    image: Any,
    mask: Any,
    reference: Any,
    settings: dict[str, Any],
    outputs: Any = ("latent", "pt", "pil"),
    **more: Any,
) -> dict[str, Any]:
    """What the pipeline gives for each output type."""
    seeds = range(settings["seed"], settings["seed"] + settings.get("batch", 1))
    found = {}
    for output in outputs:
        (found[output],) = pipeline(
            prompt=PROMPT,
            image=image,
            mask_image=mask,
            image_reference=reference,
            strength=settings["strength"],
            num_inference_steps=settings["steps"],
            guidance_scale=settings["guidance"],
            num_images_per_prompt=len(seeds),
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            max_sequence_length=LENGTH,
            text_encoder_out_layers=LAYERS,
            output_type=output,
            return_dict=False,
            **more,
        )
    return found


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["klein", "klein-base"])
@pytest.mark.parametrize("reference", [None, (70, 90)], ids=["alone", "with a reference"])
@pytest.mark.parametrize("batch", [1, 3])
def test_pictures_and_masks(compare: Any, kind: str, dtype: str, reference: Any, batch: int) -> None:
    """Distilled and guided, in both precisions, with and without a reference, one seed and several."""
    compare(kind, dtype, None if reference is None else picture(reference, 1), batch=batch)


@pytest.mark.parametrize("strength", [0.01, 0.2, 0.25, 0.5, 0.8, 0.99, 1.0])
def test_strengths(compare: Any, strength: float) -> None:
    """From the last step alone to all of them."""
    compare("klein", steps=5, strength=strength)


@pytest.mark.parametrize("size", [(80, 64), (75, 100), (600, 2000)], ids=str)
def test_sizes(compare: Any, size: tuple[int, int]) -> None:
    """Sides that are no multiples of 16 are scaled, and so is what has more than a megapixel."""
    compare("klein", image=picture(size), mask=blot(size), steps=1, strength=1.0)


@pytest.mark.parametrize(
    "mask", [blot((160, 100)), blot((33, 17)), PIL.Image.new("L", SIZE, 255), PIL.Image.new("L", SIZE, 127)]
)
def test_masks_of_other_sizes(compare: Any, mask: Any) -> None:
    """They are scaled to the picture; a white one repaints all, and one that is just not half grey nothing."""
    compare("klein", mask=mask)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("kind", ["klein", "klein-base", "dev"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cancelled_run_goes_on_to_the_same_bytes(
    load_model: Any, new_context: Any, kind: str, dtype: str, step: int
) -> None:
    """It stops after the step that was asked for, and later runs only the steps that are left."""
    node, model = Inpaint(steps=5, strength=0.6, seed=3, batch=2), load_model(kind, dtype)
    wires = encoded(new_context(), model, picture(), picture(seed=1)) | {"mask": Mask(np.array(blot()))}
    whole = node.run(new_context(), **wires)
    stopped = new_context(cancel_at=step)
    with pytest.raises(Cancelled):
        node.run(stopped, **wires)
    resumed = new_context(kept=stopped.kept)
    assert node.run(resumed, **wires).to_bytes() == whole.to_bytes()
    assert resumed.steps == [(number, 3) for number in range(step + 1, 4)]


@pytest.mark.parametrize("padding", [0, 5, 32])
@pytest.mark.parametrize("size", [(160, 128), (150, 133)], ids=str)
def test_a_crop_around_the_mask(
    load_model: Any, new_context: Any, stock_inpaint: Any, monkeypatch: Any, padding: int, size: tuple[int, int]
) -> None:
    """What is cut out and repainted is the pipeline's. Pasted, it is what diffusers' general overlay gives of it."""
    ctx, model, settings = new_context(), load_model("klein"), {"steps": 3, "guidance": 1.0, "seed": 5, "strength": 0.8}
    image, mask = picture(size), blot(size)
    pasted: list[Any] = []

    def overlay(_: Any, *arguments: Any) -> Any:
        pasted.append(arguments)
        return arguments[2]

    monkeypatch.setattr(type(stock_inpaint("klein", "float32").image_processor), "apply_overlay", overlay)
    (stock,) = run_stock(
        stock_inpaint("klein", "float32"), image, mask, None, settings, ("pil",), padding_mask_crop=padding
    )["pil"]
    monkeypatch.undo()

    original, greys = Image(np.array(image)[None]), Mask(np.array(mask))
    crop = CropToMask(padding=padding).run(FakeContext(), original, greys)
    wires = encoded(ctx, model, PIL.Image.fromarray(crop.image.pixels[0]), None)
    latent = Inpaint(**settings).run(ctx, **wires, mask=crop.mask)
    ours = VAEDecode().run(ctx, model.vae, latent)
    assert ours.pixels[0].tobytes() == stock.tobytes()

    ((stock_mask, stock_original, _, box),) = pasted
    assert (crop.region.left, crop.region.top, crop.region.right, crop.region.bottom) == box
    expected = VaeImageProcessor().apply_overlay(stock_mask, stock_original, stock, box)
    found = Paste().run(FakeContext(), ours, original, greys, crop.region)
    assert found.pixels[0].tobytes() == expected.tobytes()
