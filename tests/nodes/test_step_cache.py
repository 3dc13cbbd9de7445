"""Steps that reuse what earlier ones computed: as in diffusers, apart for each prompt, and gone after the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.hooks.mag_cache import MagCacheConfig
from diffusers.hooks.pyramid_attention_broadcast import PyramidAttentionBroadcastConfig
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig
from lora_files import random_pairs, split, write
from small_models import LAYERS, LENGTH

from limner.engine.errors import Cancelled, ModelError
from limner.engine.offload import NONE, Offload
from limner.engine.pool import ModelPool
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA, Denoise, EncodeReferences, Quantize, TextEncode
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.offloading import named_groups
from limner.nodes._flux2.step_cache import TAYLOR_INTERVAL, with_step_cache
from limner.nodes.specs import Transformer
from limner.nodes.values import Conditioning, Latent, References

PROMPT = "a red circle on a #203040 background"
STEPS = 8
KINDS = ("magcache", "taylorseer", "pab")
RATIOS = (1.0,) * STEPS
"""Of a model that never changes: MagCache skips as often as it may."""
Draw = Callable[..., Latent]


@pytest.fixture
def draw(load_model: Any, new_context: Any) -> Draw:
    """Denoise with a step cache; ``ctx`` may be one that stops, ``conditioning`` another than the prompt's."""

    def run(
        model: str,
        step_cache: str,
        ctx: Any = None,
        transformer: Transformer | None = None,
        conditioning: Conditioning | None = None,
        references: References | None = None,
        **settings: Any,
    ) -> Latent:
        parts = load_model(model)
        conditioning = conditioning or TextEncode(prompt=PROMPT).run(new_context(), parts.text_encoder)
        encoded = None if references is None else EncodeReferences().run(new_context(), parts.vae, references)
        settings = {"steps": STEPS, "guidance": 2.0, "seed": 7, "width": 48, "height": 32} | settings
        if step_cache == "magcache":
            settings["mag_ratios"] = RATIOS
        node = Denoise(**settings, step_cache=step_cache)
        return node.run(ctx or new_context(), transformer or parts.transformer, conditioning, encoded)

    return run


@dataclass
class PoolContext(FakeContext):
    """A FakeContext whose models come from a pool, under an offload policy."""

    pool: ModelPool = field(default_factory=lambda: ModelPool(Flux2Loader()))
    offload: Offload = NONE

    @contextmanager
    def hold(self, model: Any) -> Iterator[Any]:
        with self.pool.hold(model, self.device, offload=self.offload) as live:
            yield live


@contextmanager
def stock_cache(pipeline: Any, kind: str) -> Iterator[None]:
    """The same cache as diffusers' own users put it on."""
    configs = {
        "magcache": MagCacheConfig(num_inference_steps=STEPS, mag_ratios=list(RATIOS)),
        "taylorseer": TaylorSeerCacheConfig(
            cache_interval=TAYLOR_INTERVAL, use_lite_mode=True, taylor_factors_dtype=torch.float32
        ),
        "pab": PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=2, current_timestep_callback=lambda: pipeline.current_timestep
        ),
    }
    pipeline.transformer.enable_cache(configs[kind])
    try:
        yield
    finally:
        pipeline.transformer.disable_cache()


def picture() -> References:
    return References((np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8),))


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize(
    ("model", "step_cache"),
    [("klein", kind) for kind in KINDS]
    + [("klein-base", "magcache"), ("klein-base", "taylorseer"), ("dev", "magcache"), ("dev", "pab")],
)
def test_it_is_what_diffusers_draws_with_it(
    draw: Draw, stock_models: Any, model: str, step_cache: str, with_reference: bool
) -> None:
    """With batches and references. Left out is where diffusers fails (dev with TaylorSeer, for want of a context) or
    draws what nobody asked for (PAB, which takes guidance's two prompts for one).
    """
    references = picture() if with_reference else None
    ours = draw(model, step_cache, references=references, batch=2).samples
    pipeline = stock_models(model, "float32")
    kept = []
    with stock_cache(pipeline, step_cache):
        pipeline(
            prompt=PROMPT,
            image=None if references is None else [PIL.Image.fromarray(image) for image in references.images],
            num_inference_steps=STEPS,
            guidance_scale=2.0,
            width=48,
            height=32,
            num_images_per_prompt=2,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in (7, 8)],
            callback_on_step_end=lambda pipe, step, timestep, values: kept.append(values["latents"]) or {},
            max_sequence_length=LENGTH,
            text_encoder_out_layers=LAYERS,
            output_type="latent",
        )
    assert torch.equal(ours.flatten(2).permute(0, 2, 1), kept[-1])


@pytest.mark.parametrize("step_cache", KINDS)
def test_each_prompt_of_guidance_has_its_own(draw: Draw, new_context: Any, load_model: Any, step_cache: str) -> None:
    """Guided by a negative that is the prompt itself, every step is the unguided one, bit for bit."""
    prompt = TextEncode(prompt=PROMPT).run(new_context(), load_model("klein-base").text_encoder).prompt
    guided = draw("klein-base", step_cache, conditioning=Conditioning(prompt, prompt), guidance=3.0)
    plain = draw("klein-base", step_cache, conditioning=Conditioning(prompt), guidance=1.0)
    assert guided.to_bytes() == plain.to_bytes()


@pytest.mark.parametrize("step_cache", KINDS)
def test_it_is_gone_after_the_run(draw: Draw, new_context: Any, load_model: Any, step_cache: str) -> None:
    """Also after one that was stopped: the resident model is the stock one, to the bit, and nothing hangs on it."""
    before = draw("klein-base", "none")
    cached = draw("klein-base", step_cache)
    with pytest.raises(Cancelled):
        draw("klein-base", step_cache, new_context(cancel_at=5))
    assert draw("klein-base", "none").to_bytes() == before.to_bytes()
    assert draw("klein-base", step_cache).to_bytes() == cached.to_bytes() != before.to_bytes()
    with new_context().hold(load_model("klein-base").transformer) as live:
        registries = [getattr(part, "_diffusers_hook", None) for part in live.model.modules()]
        assert not any(registry.hooks for registry in registries if registry is not None)
        assert not live.model.is_cache_enabled


@pytest.mark.parametrize("step_cache", KINDS)
def test_a_stopped_run_begins_anew(draw: Draw, new_context: Any, step_cache: str) -> None:
    """What it reuses is no part of a checkpoint, so there are none: the same bytes, from the first step on."""
    whole = draw("klein-base", step_cache)
    stopped = new_context(cancel_at=5)
    with pytest.raises(Cancelled):
        draw("klein-base", step_cache, stopped)
    assert stopped.kept is None
    again = new_context(kept=(5, draw("klein-base", "none").to_bytes()))
    assert draw("klein-base", step_cache, again).to_bytes() == whole.to_bytes()
    assert again.steps[0] == (1, STEPS)


@pytest.mark.parametrize("step_cache", KINDS)
def test_with_a_lora(draw: Draw, load_model: Any, tmp_path: Path, step_cache: str) -> None:
    """Put on what the LoRA makes of the model, and taken off before the LoRA is."""
    ctx, base = PoolContext(), load_model("klein").transformer
    with ctx.hold(base) as live:
        path = write(tmp_path / "lora.safetensors", split(random_pairs(live.model)))
    variant = ApplyLoRA(path=str(path)).run(ctx, base)
    before = draw("klein", "none", ctx, base)
    with_lora = draw("klein", step_cache, ctx, variant)
    assert draw("klein", "none", ctx, base).to_bytes() == before.to_bytes()
    assert draw("klein", step_cache, ctx, base).to_bytes() != with_lora.to_bytes()
    assert draw("klein", step_cache, ctx, variant).to_bytes() == with_lora.to_bytes()


@pytest.mark.parametrize(
    "offload",
    [Offload(mode="model"), Offload(mode="group"), Offload(mode="group", level="block")],
    ids=["model", "leaf", "block"],
)
@pytest.mark.parametrize("step_cache", KINDS)
def test_offload_gives_the_same_bits(draw: Draw, load_model: Any, step_cache: str, offload: Offload) -> None:
    """A skipped block brings no weights, and computes nothing else than without offload."""
    base = load_model("klein-base").transformer
    ctx = PoolContext(offload=offload)
    before = draw("klein-base", "none", ctx, base)
    assert draw("klein-base", step_cache, ctx, base).to_bytes() == draw("klein-base", step_cache).to_bytes()
    assert draw("klein-base", "none", ctx, base).to_bytes() == before.to_bytes()


@pytest.mark.parametrize("step_cache", KINDS)
def test_weights_that_are_fetched_ahead_are_refused(load_model: Any, step_cache: Any) -> None:
    """Each group would fetch the next, which a skipped block never uses nor lets go."""
    ctx = PoolContext(offload=Offload(mode="group"))
    with ctx.hold(load_model("klein").transformer) as live:
        group = next(group for _, group in named_groups(live.model))
        group.stream = object()
        with (
            pytest.raises(ModelError, match="fetched ahead"),
            with_step_cache(live.model, step_cache, STEPS, RATIOS),
        ):
            pass


@pytest.mark.parametrize("step_cache", KINDS)
def test_quantized(draw: Draw, load_model: Any, step_cache: str) -> None:
    """It is about what blocks give, however they compute it."""
    ctx = PoolContext()
    base = Quantize(method="nf4").run(ctx, replace(load_model("klein").transformer, dtype="float32"))
    before = draw("klein", "none", ctx, base)
    cached = draw("klein", step_cache, ctx, base)
    assert cached.to_bytes() != before.to_bytes()
    assert draw("klein", "none", ctx, base).to_bytes() == before.to_bytes()


def test_magcache_needs_ratios_of_the_model(load_model: Any, new_context: Any) -> None:
    """They differ from model to model: none are made up."""
    model = load_model("klein")
    conditioning = TextEncode(prompt=PROMPT).run(new_context(), model.text_encoder)
    with pytest.raises(ModelError, match="none are known"):
        Denoise(step_cache="magcache").run(new_context(), model.transformer, conditioning)


@pytest.mark.parametrize(
    ("settings", "at_fault"),
    [
        ({"step_cache": "pab", "compile": True}, ["compile"]),
        ({"step_cache": "pab", "reference_cache": True}, ["step_cache"]),
        ({"step_cache": "pab", "mag_ratios": [1.0]}, ["mag_ratios"]),
        ({"mag_ratios": [1.0]}, ["mag_ratios"]),
        ({"step_cache": "magcache", "mag_ratios": [1.0]}, []),
    ],
)
def test_what_does_not_go_together_is_a_fault(settings: dict[str, Any], at_fault: list[str]) -> None:
    assert [setting for setting, _ in Denoise(**settings).problems({"references": 1})] == at_fault
