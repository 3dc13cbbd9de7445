"""Denoising reports, previews, stops, and goes on from where it stopped as if nothing had happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from limner.engine.errors import Cancelled, InputError
from limner.nodes import Denoise, EncodeReferences, TextEncode
from limner.nodes.values import Conditioning, Image, Latent, ReferenceLatents, References

KINDS = ("dev", "klein", "klein-base")


@pytest.fixture
def conditioning(load_model: Any, new_context: Any) -> Any:
    def encode(kind: str, dtype: str = "auto", prompt: str = "a red circle") -> Conditioning:
        model = load_model(kind, dtype)
        return TextEncode(prompt=prompt).run(new_context(), model.text_encoder)

    return encode


def references(load_model: Any, new_context: Any, kind: str, dtype: str = "auto") -> ReferenceLatents:
    images = tuple(np.full((64, side, 3), side, dtype=np.uint8) for side in (64, 96))
    return EncodeReferences().run(new_context(), load_model(kind, dtype).vae, References(images))


def test_empty_settings_are_the_models_own(load_model: Any, new_context: Any, conditioning: Any) -> None:
    """Steps and size come from the checkpoint, and the values lie on the CPU."""
    ctx = new_context()
    latent = Denoise().run(ctx, load_model("dev").transformer, conditioning("dev"))
    assert ctx.steps == [(1, 3), (2, 3), (3, 3)]
    assert latent.samples.shape == (1, 16, 2, 3)
    assert latent.samples.device.type == "cpu"
    explicit = Denoise(steps=3, guidance=2.0, width=48, height=32, seed=0, batch=1)
    assert torch.equal(explicit.run(ctx, load_model("dev").transformer, conditioning("dev")).samples, latent.samples)


def test_the_size_is_that_of_the_first_reference(load_model: Any, new_context: Any, conditioning: Any) -> None:
    encoded = references(load_model, new_context, "klein")
    latent = Denoise().run(new_context(), load_model("klein").transformer, conditioning("klein"), encoded)
    assert latent.samples.shape == (1, 16, 4, 4)
    latent = Denoise(width=32).run(new_context(), load_model("klein").transformer, conditioning("klein"), encoded)
    assert latent.samples.shape == (1, 16, 4, 2)


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"steps": 4}, {"guidance": 3.0}, {"prompt": "a blue square"}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_every_setting_matters(
    load_model: Any, new_context: Any, conditioning: Any, kind: str, change: dict[str, Any]
) -> None:
    """No setting is lost on the way."""
    transformer, settings = load_model(kind).transformer, dict(change)
    other = conditioning(kind, prompt=settings.pop("prompt", "a red circle"))
    first = Denoise().run(new_context(), transformer, conditioning(kind))
    second = Denoise(**settings).run(new_context(), transformer, other)
    assert not torch.equal(first.samples, second.samples)


def test_a_batch_begins_with_the_noise_of_each_seed(load_model: Any, new_context: Any, conditioning: Any) -> None:
    """Picture by picture a batch is, up to rounding, what the single seeds give."""
    transformer = load_model("dev").transformer
    batch = Denoise(seed=5, batch=3).run(new_context(), transformer, conditioning("dev"))
    singles = [Denoise(seed=seed).run(new_context(), transformer, conditioning("dev")) for seed in (5, 6, 7)]
    torch.testing.assert_close(batch.samples, torch.cat([single.samples for single in singles]))
    assert not torch.equal(batch.samples[0], batch.samples[1])


@pytest.mark.parametrize("step", [1, 2, 4])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_run_goes_on_to_the_same_bytes(
    load_model: Any, new_context: Any, conditioning: Any, kind: str, dtype: str, step: int
) -> None:
    """It stops after the step that was asked for, and later runs only the steps that are left."""
    transformer, node = load_model(kind, dtype).transformer, Denoise(steps=5, seed=3, batch=2)
    wires = (transformer, conditioning(kind, dtype), references(load_model, new_context, kind, dtype))
    whole = node.run(new_context(), *wires)

    stopped = new_context(cancel_at=step)
    with pytest.raises(Cancelled):
        node.run(stopped, *wires)
    assert stopped.steps[-1] == (step, 5)
    resumed = new_context(kept=stopped.kept)
    latent = node.run(resumed, *wires)
    assert resumed.steps == [(number, 5) for number in range(step + 1, 6)]
    assert latent.to_bytes() == whole.to_bytes()


def test_the_last_step_is_not_a_checkpoint(load_model: Any, new_context: Any, conditioning: Any) -> None:
    """Its state is the result, which the cache keeps itself."""
    ctx = new_context()
    Denoise(steps=1).run(ctx, load_model("dev").transformer, conditioning("dev"))
    assert ctx.kept is None


@pytest.mark.parametrize("kind", KINDS)
def test_previews_show_what_the_picture_will_be(
    load_model: Any, new_context: Any, conditioning: Any, kind: str
) -> None:
    """One a step, an eighth of the size, for each picture; the last is the map of the final latents."""
    ctx, transformer = new_context(), load_model(kind).transformer
    latent = Denoise(batch=2).run(ctx, transformer, conditioning(kind))
    assert [type(preview) for preview in ctx.previews] == [Image] * 3
    assert ctx.previews[0].pixels.shape == (2, 4, 6, 3)
    with ctx.hold(transformer) as live:
        assert live.preview is not None
        np.testing.assert_array_equal(ctx.previews[-1].pixels, live.preview(latent.samples))


def test_distilled_models_ignore_guidance_and_say_so(load_model: Any, new_context: Any, conditioning: Any) -> None:
    ctx, transformer = new_context(), load_model("klein").transformer
    guided = Denoise(guidance=4.0).run(ctx, transformer, conditioning("klein"))
    assert ctx.warnings == ["this model is distilled: guidance 4 is ignored"]
    quiet = new_context()
    plain = Denoise().run(quiet, transformer, conditioning("klein"))
    assert quiet.warnings == []
    assert torch.equal(guided.samples, plain.samples)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"steps": 1001},
        {"steps": "12"},
        {"steps": 3.9},
        {"seed": -1},
        {"seed": 2**64},
        {"width": 50},
        {"height": 8},
        {"width": 0},
        {"guidance": float("nan")},
        {"guidance": -1.0},
        {"batch": 0},
        {"batch": 65},
        {"step": 3},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Denoise(**settings)


def test_a_batch_that_runs_out_of_seeds_is_a_fault() -> None:
    assert list(Denoise(seed=2**64 - 2, batch=2).problems()) == []
    assert [setting for setting, _ in Denoise(seed=2**64 - 2, batch=3).problems()] == ["seed"]


def test_values_of_another_model_are_refused(load_model: Any, new_context: Any, conditioning: Any) -> None:
    """What cannot fit says so in one line, instead of a matrix that does not multiply."""
    transformer = load_model("dev").transformer
    wide = Conditioning(torch.zeros(1, 4, 96))
    with pytest.raises(InputError, match="conditioning is 1 of width 96, and this transformer reads 1 of 48"):
        Denoise().run(new_context(), transformer, wide)
    foreign = ReferenceLatents((torch.zeros(1, 128, 4, 4),))
    with pytest.raises(InputError, match="reference latents have 128 channels, and this transformer reads 16"):
        Denoise().run(new_context(), transformer, conditioning("dev"), foreign)
    with pytest.raises(InputError, match="guided by a negative prompt, and the conditioning has none"):
        Denoise().run(new_context(), load_model("klein-base").transformer, conditioning("klein"))


def test_a_state_that_was_kept_is_checked_like_any_value() -> None:
    """Resuming reads a file: it is refused like a broken one of the cache."""
    with pytest.raises(ValueError, match="stored"):
        Latent.from_bytes(b"")
