"""The nodes of ComfyUI's workflows draw what our own draw: the same latents and the same pictures, to the bit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from lora_files import random_pairs, split, write

from limner.engine.errors import Cancelled
from limner.nodes import ApplyLoRA, Denoise, EncodeReferences, TextEncode, VAEDecode
from limner.nodes import comfy as thin
from limner.nodes.comfy.values import Guider, Noise, Sampler
from limner.nodes.values import Image, Latent, References

PROMPT, SEED, STEPS, SIZE = "a red circle on a #203040 background", 7, 3, (48, 32)


@dataclass
class Drawing:
    """A thin graph, wired by hand."""

    model: Any
    ctx: Any
    guider: Any = None
    size: tuple[int, int] = SIZE
    batch: int = 1
    schedule_size: tuple[int, int] | None = None
    sampler: Any = field(default_factory=thin.ComfySamplerCustomAdvanced)

    def encode(self, text: str = PROMPT) -> Any:
        return thin.ComfyCLIPTextEncode(text=text).run(self.ctx, self.model.text_encoder)

    def draw(self, guider: Guider) -> Latent:
        (width, height), scheduled = self.size, self.schedule_size or self.size
        sigmas = thin.ComfyFlux2Scheduler(steps=STEPS, width=scheduled[0], height=scheduled[1]).run(self.ctx)
        latent = thin.ComfyEmptyFlux2LatentImage(width=width, height=height, batch_size=self.batch).run(self.ctx)
        noise = thin.ComfyRandomNoise(noise_seed=SEED).run(self.ctx)
        sampler = thin.ComfyKSamplerSelect().run(self.ctx)
        return self.sampler.run(self.ctx, noise, guider, sampler, sigmas, latent).output


@pytest.fixture
def drawing(load_model: Any, new_context: Any) -> Any:
    return lambda kind, dtype="auto", **rest: Drawing(load_model(kind, dtype), new_context(), **rest)


def native(drawn: Drawing, references: Any = None, transformer: Any = None, **settings: Any) -> Latent:
    conditioning = TextEncode(prompt=PROMPT).run(drawn.ctx, drawn.model.text_encoder)
    settings = {"steps": STEPS, "seed": SEED, "width": drawn.size[0], "height": drawn.size[1]} | settings
    return Denoise(**settings).run(drawn.ctx, transformer or drawn.model.transformer, conditioning, references)


def pictures(count: int) -> tuple[Any, ...]:
    generator = np.random.default_rng(count)
    return tuple(generator.integers(0, 256, (64, 80 + 16 * i, 3), dtype=np.uint8) for i in range(count))


def with_references(drawn: Drawing, conditioning: Any, images: tuple[Any, ...]) -> Any:
    for image in images:
        latent = thin.ComfyVAEEncode().run(drawn.ctx, Image(image[None]), drawn.model.vae)
        conditioning = thin.ComfyReferenceLatent().run(drawn.ctx, conditioning, latent)
    return conditioning


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [1, 2])
def test_dev_with_its_guidance(drawing: Any, dtype: str, batch: int) -> None:
    """FluxGuidance is Denoise's guidance, and pixels are equal, too."""
    drawn = drawing("dev", dtype, batch=batch)
    conditioning = thin.ComfyFluxGuidance(guidance=2.5).run(drawn.ctx, drawn.encode())
    latent = drawn.draw(thin.ComfyBasicGuider().run(drawn.ctx, drawn.model.transformer, conditioning))
    expected = native(drawn, guidance=2.5, batch=batch)
    assert torch.equal(latent.samples, expected.samples)
    ours, theirs = VAEDecode(), thin.ComfyVAEDecode()
    pixels = theirs.run(drawn.ctx, latent, drawn.model.vae).pixels
    assert np.array_equal(pixels, ours.run(drawn.ctx, drawn.model.vae, expected).pixels)


def test_dev_without_guidance_has_that_of_comfyui(drawing: Any) -> None:
    """Where nothing says how closely to follow, it is 3.5."""
    drawn = drawing("dev")
    latent = drawn.draw(thin.ComfyBasicGuider().run(drawn.ctx, drawn.model.transformer, drawn.encode()))
    assert torch.equal(latent.samples, native(drawn, guidance=3.5).samples)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_klein_led_away_from_a_negative_prompt(drawing: Any, dtype: str) -> None:
    """Cfg is the guidance of an undistilled model, with an empty negative prompt."""
    drawn = drawing("klein-base", dtype)
    guider = thin.ComfyCFGGuider(cfg=5.0).run(drawn.ctx, drawn.model.transformer, drawn.encode(), drawn.encode(""))
    assert torch.equal(drawn.draw(guider).samples, native(drawn, guidance=5.0).samples)


@pytest.mark.parametrize("kind", ["klein", "klein-base"])
def test_cfg_1_reads_no_negative_prompt(drawing: Any, kind: str) -> None:
    """At cfg 1, the zeros that workflows wire in as the negative conditioning change nothing."""
    drawn = drawing(kind)
    positive = drawn.encode()
    zeros = thin.ComfyConditioningZeroOut().run(drawn.ctx, positive)
    assert not zeros.prompt.any()
    guider = thin.ComfyCFGGuider(cfg=1.0).run(drawn.ctx, drawn.model.transformer, positive, zeros)
    assert torch.equal(drawn.draw(guider).samples, native(drawn, guidance=1.0).samples)


def test_a_distilled_model_is_led_away_where_a_workflow_says_so(drawing: Any) -> None:
    """What Denoise ignores for a distilled model, a guider does: ComfyUI asks no model what it was trained for."""
    drawn = drawing("klein")
    negative = drawn.encode("a blue square")
    plain, led = (
        drawn.draw(thin.ComfyCFGGuider(cfg=cfg).run(drawn.ctx, drawn.model.transformer, drawn.encode(), negative))
        for cfg in (1.0, 2.0)
    )
    assert not torch.equal(plain.samples, led.samples)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("kind", "cfg"), [("klein", 1.0), ("klein-base", 4.0)])
def test_references(drawing: Any, kind: str, cfg: float, count: int) -> None:
    """References attached to both conditionings are the references of Denoise, in the same order."""
    drawn = drawing(kind)
    images = pictures(count)
    positive, negative = (with_references(drawn, drawn.encode(text), images) for text in (PROMPT, ""))
    guider = thin.ComfyCFGGuider(cfg=cfg).run(drawn.ctx, drawn.model.transformer, positive, negative)
    encoded = EncodeReferences().run(drawn.ctx, drawn.model.vae, References(images))
    assert torch.equal(drawn.draw(guider).samples, native(drawn, encoded, guidance=cfg).samples)


def test_references_of_the_prompt_alone_are_not_seen_with_the_negative_one(drawing: Any) -> None:
    """Whether the negative conditioning has the references, too, is the workflow's to say."""
    drawn = drawing("klein-base")
    positive = with_references(drawn, drawn.encode(), pictures(1))
    both = with_references(drawn, drawn.encode(""), pictures(1))
    alone = drawn.encode("")
    samples = [
        drawn.draw(thin.ComfyCFGGuider(cfg=4.0).run(drawn.ctx, drawn.model.transformer, positive, negative)).samples
        for negative in (both, alone)
    ]
    assert not torch.equal(*samples)


@pytest.mark.parametrize("count", [0, 2])
def test_the_cache_for_references(drawing: Any, count: int) -> None:
    """FluxKVCache is reference_cache; without references it does nothing."""
    drawn = drawing("klein")
    images = pictures(count)
    positive = with_references(drawn, drawn.encode(), images)
    caching = thin.ComfyFluxKVCache().run(drawn.ctx, drawn.model.transformer)
    guider = thin.ComfyCFGGuider(cfg=1.0).run(drawn.ctx, caching, positive, drawn.encode(""))
    encoded = EncodeReferences().run(drawn.ctx, drawn.model.vae, References(images)) if count else None
    assert torch.equal(drawn.draw(guider).samples, native(drawn, encoded, reference_cache=bool(count)).samples)


def test_a_lora(drawing: Any, tmp_path: Any) -> None:
    """LoraLoaderModelOnly is ApplyLoRA, also behind a cache."""
    drawn = drawing("klein")
    with drawn.ctx.hold(drawn.model.transformer) as live:
        path = str(write(tmp_path / "small.safetensors", split(random_pairs(live.model))))
    adapted = ApplyLoRA(path=path, weight=0.5).run(drawn.ctx, drawn.model.transformer)
    loader = thin.ComfyLoraLoaderModelOnly(lora_name=path, strength_model=0.5)
    assert loader.run(drawn.ctx, drawn.model.transformer) == adapted
    caching = thin.ComfyFluxKVCache().run(drawn.ctx, drawn.model.transformer)
    assert loader.run(drawn.ctx, caching).transformer == adapted
    guider = thin.ComfyCFGGuider(cfg=1.0).run(drawn.ctx, adapted, drawn.encode(), drawn.encode(""))
    assert torch.equal(drawn.draw(guider).samples, native(drawn, transformer=adapted).samples)


def test_the_schedule_is_of_the_size_that_it_was_made_for(drawing: Any) -> None:
    """A scheduler that is told another size than the latents have gives that one's schedule, as in ComfyUI."""
    samples = []
    for scheduled in ((48, 32), (2048, 2048)):
        drawn = drawing("klein", schedule_size=scheduled)
        guider = thin.ComfyBasicGuider().run(drawn.ctx, drawn.model.transformer, drawn.encode())
        samples.append(drawn.draw(guider).samples)
    assert not torch.equal(*samples)


def test_it_goes_on_from_where_it_was_stopped(drawing: Any) -> None:
    """Steps are reported with previews, and a run that was stopped ends in the same bits."""
    drawn = drawing("klein-base")
    guider = thin.ComfyCFGGuider(cfg=4.0).run(drawn.ctx, drawn.model.transformer, drawn.encode(), drawn.encode(""))
    whole = drawn.draw(guider)
    assert drawn.ctx.steps == [(1, 3), (2, 3), (3, 3)]
    assert len(drawn.ctx.previews) == 3
    drawn.ctx.cancel_at, drawn.ctx.kept = 2, None
    with pytest.raises(Cancelled):
        drawn.draw(guider)
    drawn.ctx.cancel_at, drawn.ctx.steps = None, []
    assert torch.equal(drawn.draw(guider).samples, whole.samples)
    assert drawn.ctx.steps == [(2, 3), (3, 3)] or drawn.ctx.steps == [(3, 3)]


def test_a_picture_in_the_latents_is_said_not_to_count(drawing: Any) -> None:
    """A schedule that begins with noise keeps nothing of a picture, and the node says so."""
    drawn = drawing("klein")
    guider = thin.ComfyBasicGuider().run(drawn.ctx, drawn.model.transformer, drawn.encode())
    sigmas = thin.ComfyFlux2Scheduler(steps=1, width=32, height=32).run(drawn.ctx)
    thin.ComfySamplerCustomAdvanced().run(
        drawn.ctx, Noise(0), guider, Sampler("euler"), sigmas, Latent(torch.ones(1, 16, 2, 2))
    )
    assert any("only the size" in warning for warning in drawn.ctx.warnings)


@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_k_sampler_is_denoise_along_the_simple_schedule(
    drawing: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps as with a guider and BasicScheduler, and those of Denoise where that is shifted as far."""
    drawn = drawing(kind)
    cfg = 1.0 if kind == "dev" else 3.0
    model, positive, negative = drawn.model.transformer, drawn.encode(), drawn.encode("")
    latent = thin.ComfyEmptyFlux2LatentImage(width=SIZE[0], height=SIZE[1]).run(drawn.ctx)
    node = thin.ComfyKSampler(seed=SEED, steps=STEPS, cfg=cfg)
    found = node.run(drawn.ctx, model, positive, negative, latent)
    guider = thin.ComfyCFGGuider(cfg=cfg).run(drawn.ctx, model, positive, negative)
    sigmas = thin.ComfyBasicScheduler(steps=STEPS).run(drawn.ctx, model)
    noise, euler = thin.ComfyRandomNoise(noise_seed=SEED).run(drawn.ctx), thin.ComfyKSamplerSelect().run(drawn.ctx)
    advanced = drawn.sampler.run(drawn.ctx, noise, guider, euler, sigmas, latent)
    assert torch.equal(found.samples, advanced.output.samples)
    plain = native(drawn, guidance=3.5 if kind == "dev" else cfg)
    assert not torch.equal(found.samples, plain.samples)
    monkeypatch.setattr("limner.nodes._flux2.pipelines.empirical_mu", lambda tokens, steps: 2.02)
    assert torch.equal(found.samples, native(drawn, guidance=3.5 if kind == "dev" else cfg).samples)


def test_the_simple_schedule_is_shifted_by_a_constant(load_model: Any) -> None:
    """Shares of noise after each step: e^m / (e^m + 1/t - 1) with m = 2.02, at even t, whatever the size."""
    from limner.nodes._flux2.loader import Flux2Loader
    from limner.nodes._flux2.sampling import Plan, schedule

    live: Any = Flux2Loader().load(load_model("dev").transformer, "cpu")
    plan = Plan(steps=5, guidance=1.0, seeds=[0], width=64, height=512, schedule_mu=2.02)
    t = np.linspace(1, 1 / 5, 5)
    expected = np.exp(2.02) / (np.exp(2.02) + 1 / t - 1)
    assert np.allclose(schedule(live, plan, "cpu")[0].sigmas[:-1].numpy(), expected, atol=1e-6)


def test_lora_loader_gives_what_the_two_nodes_for_it_give(drawing: Any, tmp_path: Any) -> None:
    """The transformer as ApplyLoRA adapts it, and the text encoder untouched."""
    drawn = drawing("klein")
    with drawn.ctx.hold(drawn.model.transformer) as live:
        path = write(tmp_path / "some.safetensors", split(random_pairs(live.model)))
    node = thin.ComfyLoraLoader(lora_name=str(path), strength_model=0.5, strength_clip=2.0)
    assert list(node.problems()) == []
    adapted = node.run(drawn.ctx, drawn.model.transformer, drawn.model.text_encoder)
    assert adapted.model == ApplyLoRA(path=str(path), weight=0.5).run(drawn.ctx, drawn.model.transformer)
    assert adapted.clip is drawn.model.text_encoder
    known = {"model": drawn.model.transformer, "clip": drawn.model.text_encoder}
    assert node.forecast("cpu", known).outputs == tuple(adapted)
    assert [setting for setting, _ in thin.ComfyLoraLoader().problems()] == ["lora_name"]
