"""The weights that ship: the stock pipeline loads them, and they draw what is asked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline

from limner.tiny import heldout
from limner.tiny.evaluate import reference_images
from limner.tiny.metrics import measure, summarize
from limner.tiny.pipeline import LORA, WEIGHTS, fit_preview, generate, load_pipeline
from limner.tiny.render import render
from limner.tiny.scenes import SIDE

STEPS = 8  # fewer than the default, to be quick


@pytest.fixture(scope="module")
def pipe() -> Flux2KleinPipeline:
    """The stock pipeline on the shipped folder."""
    return load_pipeline(WEIGHTS)


def test_the_folder_is_small() -> None:
    """The weights take at most 12 MB of the repository, the LoRA at most 300 KB."""
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12e6
    assert LORA.stat().st_size <= 300e3


def test_plain_prompts(pipe: Flux2KleinPipeline) -> None:
    """Held-out prompts come out in the right place and colours."""
    prompts = heldout.one_object(12)
    pictures = generate(pipe, prompts.texts, steps=STEPS)
    summary = summarize([measure(p, s) for p, s in zip(pictures, prompts.scenes, strict=True)])
    assert summary["position"] >= 0.9
    assert summary["background_de_median"] <= 5
    assert summary["object_de_median"] <= 10
    assert summary["shape"] >= 0.6


def test_references_are_followed(pipe: Flux2KleinPipeline) -> None:
    """An edit of the colour keeps the reference's background and place, and mostly its shape."""
    scores = []
    for seed, edit in enumerate(heldout.edits("recolor", 4)):
        picture = generate(pipe, [edit.caption.text], steps=STEPS, seed=seed, references=reference_images(edit))[0]
        scores.append(measure(picture, edit.target))
    summary = summarize(scores)
    assert summary["background_de_median"] <= 6
    assert summary["position"] >= 0.75
    assert summary["shape"] >= 0.5


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (256, 128)])
def test_other_sizes_do_not_crash(pipe: Flux2KleinPipeline, size: tuple[int, int]) -> None:
    """Sizes it was not trained for give a picture of that size."""
    height, width = size
    picture = pipe(
        prompt="a red circle", height=height, width=width, num_inference_steps=2, guidance_scale=1.0,
        max_sequence_length=40, text_encoder_out_layers=(1, 2, 3), output_type="np",
    ).images[0]  # fmt: skip
    assert picture.shape == (height, width, 3)


def test_ten_references_do_not_crash(pipe: Flux2KleinPipeline) -> None:
    """As many references as FLUX.2 takes give a picture."""
    edit = heldout.edits("recolor", 1)[0]
    assert generate(pipe, ["a star"], steps=1, references=reference_images(edit) * 10).shape == (1, SIDE, SIDE, 3)


def test_a_batch_draws_what_single_calls_draw(pipe: Flux2KleinPipeline) -> None:
    """A seed gives the same picture alone and in a batch, to within rounding."""
    prompts = ["a red circle on white", "a blue star on black"]
    together = generate(pipe, prompts, steps=2, seed=5).astype(int)
    alone = generate(pipe, prompts[1:], steps=2, seed=6).astype(int)
    assert np.abs(together[1] - alone[0]).max() <= 2


def test_limner_json_describes_the_folder(pipe: Flux2KleinPipeline) -> None:
    """The extras are what the engine's loader reads, and the preview is the map that fits best."""
    extras = json.loads((Path(WEIGHTS) / "limner.json").read_text(encoding="utf-8"))
    assert extras["text"] == {"max_sequence_length": 40, "out_layers": [1, 2, 3]}
    assert {"steps", "guidance", "width", "height"} <= set(extras["defaults"])
    weight = torch.tensor(extras["preview"]["weight"])
    assert weight.shape == (3, pipe.vae.config.latent_channels)
    refitted = torch.tensor(fit_preview(pipe.vae, render(heldout.one_object(24).scenes))["weight"])
    assert (weight - refitted).abs().mean() < 0.05
