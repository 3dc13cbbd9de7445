"""What samplers of ComfyUI have in common: a guider, a schedule and a size become what Denoise is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.engine.context import Context
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.forecast import Forecast
from limner.nodes._drawing import drawn
from limner.nodes._flux2 import needs
from limner.nodes._flux2.speed import Speed
from limner.nodes.comfy.values import DEFAULT_GUIDANCE, AttachedConditioning, Guider, KnownGuider, Sigmas
from limner.nodes.denoise import SEED_LIMIT
from limner.nodes.sizes import CELL, PictureSizes
from limner.nodes.values import Conditioning, Latent, ReferenceLatents

if TYPE_CHECKING:
    from limner.nodes._flux2.sampling import Plan


def forecast_drawing(guider: object, sigmas: object, latent: object, seed: object, device: str) -> Forecast | None:
    """All steps, with the latents as the only output. Raises ModelError, GraphError for what a run would refuse."""
    if not isinstance(guider, KnownGuider) or not isinstance(sigmas, Sigmas) or not isinstance(latent, PictureSizes):
        return None
    if isinstance(seed, int) and (message := _seed_fault(seed, len(latent.sizes))):
        raise GraphError([Fault(message)])
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
    return needs.denoise(guider.transformer, drawing, device)


def draw(ctx: Context, guider: Guider, seed: int, sigmas: Sigmas, latent_image: Latent) -> Latent:
    """Denoise, from the last checkpoint where there is one. Raises InputError, ModelError, Cancelled within a step."""
    work = _Work(seed, guider, sigmas, latent_image)
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
            return drawn(ctx, live, steps, plan.steps)


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
        if message := _seed_fault(self.seed, count):
            raise InputError(message)
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
            schedule_mu=self.sigmas.mu,
        )


def _seed_fault(seed: int, count: int) -> str | None:
    """Why a batch runs out of seeds: each picture has the one that follows."""
    return f"{count} seeds from {seed} on go past {SEED_LIMIT - 1}" if seed + count > SEED_LIMIT else None


def _guidance(given: float | None) -> float:
    return DEFAULT_GUIDANCE if given is None else given


def _sees(negative: AttachedConditioning | None) -> bool:
    return negative is not None and bool(negative.references)
