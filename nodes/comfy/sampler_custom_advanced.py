"""ComfyUI's SamplerCustomAdvanced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._drawing import drawn
from limner.nodes._flux2 import needs
from limner.nodes._flux2.speed import Speed
from limner.nodes.comfy.values import (
    DEFAULT_GUIDANCE,
    AttachedConditioning,
    Guider,
    KnownGuider,
    Noise,
    Sampler,
    Sigmas,
)
from limner.nodes.denoise import SEED_LIMIT
from limner.nodes.sizes import CELL, PictureSizes
from limner.nodes.values import Conditioning, Latent, ReferenceLatents

if TYPE_CHECKING:
    from limner.nodes._flux2.sampling import Plan


class Sampled(NamedTuple):
    """What a sampler gives."""

    output: Latent
    denoised_output: Latent


class ComfySamplerCustomAdvanced(Node):
    """Turn noise into latents, as Denoise does and to the same bits.

    Every schedule here begins with nothing but noise, so of ``latent_image`` only the size is used, as in ComfyUI. The
    schedule ends without noise, so both outputs are the same.
    """

    category: ClassVar[str] = "comfyui"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """All steps. Raises ModelError."""
        guider, sigmas, latent = (inputs.get(name) for name in ("guider", "sigmas", "latent_image"))
        if not isinstance(guider, KnownGuider) or not isinstance(sigmas, Sigmas):
            return None
        if not isinstance(latent, PictureSizes):
            return None
        (width, height), references = latent.sizes[0], guider.positive.references
        drawing = needs.Drawing(
            steps=sigmas.steps,
            guidance=_guidance(guider.positive.guidance),
            batch=len(latent.sizes),
            width=width,
            height=height,
            prompt=guider.positive.prompt,
            references=references,
            speed=Speed(reference_cache=guider.caches_references and references is not None),
            cfg=guider.cfg,
        )
        forecast = needs.denoise(guider.transformer, drawing, device)
        return Forecast(
            forecast.outputs * 2,
            forecast.holds,
            forecast.working_bytes,
            forecast.passes,
            forecast.note,
            forecast.adds,
        )

    def run(
        self, ctx: Context, noise: Noise, guider: Guider, sampler: Sampler, sigmas: Sigmas, latent_image: Latent
    ) -> Sampled:
        """Denoise, from the last checkpoint where there is one. Stops within a step when cancelled."""
        work = _Work(noise.seed, guider, sigmas, latent_image)
        needs.refuse_early(guider.transformer, work.speed)
        if latent_image.samples.any():
            ctx.warn("the schedule begins with nothing but noise: of latent_image only the size is used")
        kept = ctx.resume(Latent)
        with ctx.hold(guider.transformer) as live:
            from limner.nodes._flux2.fast import made_fast
            from limner.nodes._flux2.sampling import denoise

            plan = work.plan()
            start = None if kept is None else (kept[0], kept[1].samples)
            with made_fast(live, work.speed, "", plan.steps, ctx.device):
                steps = denoise(live, plan, work.conditioning, work.references, ctx.device, start)
                latent = drawn(ctx, live, steps, plan.steps)
        return Sampled(latent, latent)


@dataclass(frozen=True)
class _Work:
    """What the wires brought, in the words of the sampling loop."""

    seed: int
    guider: Guider
    sigmas: Sigmas
    latent: Latent

    @property
    def conditioning(self) -> Conditioning:
        negative = self.guider.negative
        return Conditioning(self.guider.positive.prompt, None if negative is None else negative.prompt)

    @property
    def references(self) -> ReferenceLatents | None:
        found = self.guider.positive.references
        return ReferenceLatents(found) if found else None

    @property
    def speed(self) -> Speed:
        """Without references there is nothing to keep."""
        return Speed(reference_cache=self.guider.caches_references and bool(self.guider.positive.references))

    def plan(self) -> Plan:
        """What to draw. Raises InputError for a batch that runs out of seeds."""
        from limner.nodes._flux2.sampling import Plan

        count, _, rows, columns = self.latent.samples.shape
        if self.seed + count > SEED_LIMIT:
            raise InputError(f"{count} seeds from {self.seed} on go past {SEED_LIMIT - 1}")
        return Plan(
            steps=self.sigmas.steps,
            guidance=_guidance(self.guider.positive.guidance),
            seeds=range(self.seed, self.seed + count),
            width=columns * CELL,
            height=rows * CELL,
            reference_cache=self.speed.reference_cache,
            cfg=self.guider.cfg,
            negative_sees_references=_sees(self.guider.negative),
            schedule_tokens=self.sigmas.tokens,
        )


def _guidance(given: float | None) -> float:
    return DEFAULT_GUIDANCE if given is None else given


def _sees(negative: AttachedConditioning | None) -> bool:
    return negative is not None and bool(negative.references)
