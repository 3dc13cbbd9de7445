"""Inpainting keeps what the mask keeps, says what is odd, and is planned like any denoising."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from limner.engine.errors import InputError
from limner.nodes import EncodeImage, Inpaint, TextEncode
from limner.nodes.sizes import PictureSizes, skipped_steps
from limner.nodes.specs import Transformer
from limner.nodes.values import Image, Latent, Mask, ReferenceLatents

KINDS = ("dev", "klein", "klein-base")


def mask_of(left: int, right: int, size: tuple[int, int] = (64, 64)) -> Mask:
    values = np.zeros(size, np.uint8)
    values[:, left:right] = 255
    return Mask(values)


@pytest.fixture
def wires(load_model: Any, new_context: Any) -> Any:
    def make(kind: str) -> dict[str, Any]:
        model, ctx = load_model(kind), new_context()
        pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
        return {
            "transformer": model.transformer,
            "conditioning": TextEncode(prompt="a red circle").run(ctx, model.text_encoder),
            "image": EncodeImage().run(ctx, model.vae, Image(pixels)),
        }

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_mask_keeps_stays(wires: Any, new_context: Any, kind: str) -> None:
    """To the bit, in latents; what it covers changes. Of dev too, which diffusers cannot inpaint."""
    given = wires(kind)
    found = Inpaint(seed=2, batch=2).run(new_context(), **given, mask=mask_of(32, 64)).samples
    assert torch.equal(found[..., :2], given["image"].samples[..., :2].repeat(2, 1, 1, 1))
    assert (found[..., 2:] != given["image"].samples[..., 2:]).float().mean() > 0.9
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("change", [{"seed": 1}, {"steps": 4}, {"guidance": 3.0}, {"strength": 0.3}], ids=str)
@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_every_setting_matters(wires: Any, new_context: Any, kind: str, change: dict[str, Any]) -> None:
    given = wires(kind) | {"mask": mask_of(0, 64)}
    first, second = (Inpaint(**settings).run(new_context(), **given).samples for settings in ({}, change))
    assert not torch.equal(first, second)


def test_it_reports_the_steps_that_it_runs(wires: Any, new_context: Any) -> None:
    """Those that the strength leaves out are not counted; each is shown."""
    ctx = new_context()
    Inpaint(steps=10, strength=0.25).run(ctx, **wires("klein"), mask=mask_of(0, 64))
    assert ctx.steps == [(1, 3), (2, 3), (3, 3)]
    assert len(ctx.previews) == 3
    assert ctx.kept[0] == 9


@pytest.mark.parametrize(
    ("mask", "warning"),
    [
        (mask_of(0, 0), "the mask covers the middle of no 16x16 pixels: nothing is repainted; grow it"),
        (mask_of(0, 4), "the mask covers the middle of no 16x16 pixels: nothing is repainted; grow it"),
        (mask_of(0, 100, (64, 100)), "the mask is 100x64, and the picture 64x64: the mask is stretched"),
    ],
    ids=["black", "a line", "wide"],
)
def test_an_odd_mask_is_said(wires: Any, new_context: Any, mask: Any, warning: str) -> None:
    ctx = new_context()
    Inpaint().run(ctx, **wires("klein"), mask=mask)
    assert ctx.warnings == [warning]


def test_distilled_models_ignore_guidance_and_say_so(wires: Any, new_context: Any) -> None:
    ctx = new_context()
    Inpaint(guidance=4.0).run(ctx, **wires("klein"), mask=mask_of(0, 64))
    assert ctx.warnings == ["this model is distilled: guidance 4 is ignored"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": Latent(torch.zeros(2, 16, 4, 4))}, "there are 2 pictures"),
        ({"image": Latent(torch.zeros(1, 128, 4, 4))}, "latents have 128 channels, and this transformer reads 16"),
        ({"references": ReferenceLatents((torch.zeros(1, 16, 4, 4),) * 10)}, "9 references are possible, not 10"),
        ({"references": ReferenceLatents((torch.zeros(1, 8, 4, 4),))}, "latents have 8 channels"),
    ],
    ids=["batch", "image", "eleven", "reference"],
)
def test_what_does_not_fit_is_refused(wires: Any, new_context: Any, changed: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Inpaint().run(new_context(), **(wires("klein") | {"mask": mask_of(0, 64)} | changed))


def test_a_batch_that_runs_out_of_seeds_is_a_fault() -> None:
    assert [setting for setting, _ in Inpaint(seed=2**64 - 2, batch=3).problems()] == ["seed"]
    assert [setting for setting, _ in Inpaint(attention="nonsense").problems()] == ["attention"]


def test_the_plan_counts_the_picture_as_a_reference() -> None:
    """Its tokens, those of the references, and only the steps that are run."""
    known = {"transformer": Transformer("tiny"), "image": PictureSizes(((64, 64),)), "conditioning": None}
    alone = Inpaint(steps=10, strength=0.3).forecast("cpu", known)
    assert alone is not None
    assert [(added.name, added.tokens) for added in alone.adds] == [("image 1", 16), ("a reference of 1 MP", 4096)]
    assert alone.outputs == (PictureSizes(((64, 64),)),)
    assert alone.passes == 2 * (10 - skipped_steps(10, 0.3)) == 6
    both = Inpaint().forecast("cpu", known | {"references": PictureSizes(((96, 64),))})
    assert both is not None
    assert [added.tokens for added in both.adds] == [16, 24, 4096]
    assert both.working_bytes > alone.working_bytes
    unknown = Inpaint().forecast("cpu", known | {"image": None})
    assert unknown is not None
    assert unknown.adds[0].tokens == 4096
