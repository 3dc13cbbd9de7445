"""From noise to latents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveFloat

from limner.engine.context import Context
from limner.engine.device import Device
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._drawing import drawn
from limner.nodes._flux2 import needs
from limner.nodes._flux2.attention import faults_on, name_faults
from limner.nodes._flux2.speed import Speed, StepCache, compiler_faults, setting_faults
from limner.nodes.sizes import PictureSizes, PromptSize
from limner.nodes.values import Conditioning, Latent, ReferenceLatents, Transformer

if TYPE_CHECKING:
    from limner.nodes._flux2.live import LiveTransformer
    from limner.nodes._flux2.sampling import Plan

SEED_LIMIT = 2**64


class Denoise(Node):
    """Turn noise into a picture's latents, guided by a conditioning and by references.

    Settings that are left empty are the model's own. The result equals diffusers' pipelines to the bit; step_cache and
    compile trade a little of that for time. With a step_cache, a run that was stopped begins anew.
    Previews are shown only for checkpoints with a ``limner.json``, which holds the fitted map from latents to colors.
    """

    category: ClassVar[str] = "sampling"
    aliases: ClassVar[tuple[str, ...]] = (
        "KSampler",
        "KSamplerAdvanced",
        "SamplerCustomAdvanced",
        "Flux2Scheduler",
        "RandomNoise",
        "EmptyFlux2LatentImage",
        "BasicGuider",
        "CFGGuider",
        "sampler",
        "steps",
        "seed",
    )
    advanced: ClassVar[frozenset[str]] = frozenset(
        {"attention", "reference_cache", "step_cache", "mag_ratios", "compile"}
    )
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"
    added: ClassVar[frozenset[str]] = frozenset({"reference_cache", "step_cache", "mag_ratios", "compile"})

    steps: int | None = Field(
        default=None, ge=1, le=1000, description="More is finer and slower. Empty: the model's own (dev 50, klein 4)."
    )
    guidance: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="How closely to follow the prompt. Empty: the model's own (dev 4). Distilled models ignore it.",
    )
    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT, description="The same seed gives the same picture.")
    batch: int = Field(default=1, ge=1, le=64, description="Pictures at once, with the seeds that follow seed.")
    width: int | None = Field(
        default=None,
        ge=16,
        le=8192,
        multiple_of=16,
        description="Pixels, a multiple of 16. Empty: that of the first reference, or the model's own.",
    )
    height: int | None = Field(
        default=None,
        ge=16,
        le=8192,
        multiple_of=16,
        description="Pixels, a multiple of 16. Empty: that of the first reference, or the model's own.",
    )

    attention: str = Field(
        default="",
        description="How attention is computed, in diffusers' words, such as _flash_3_hub or _native_math. "
        "Empty: the model's own. It changes the last bits.",
    )
    reference_cache: bool = Field(
        default=False,
        description="Compute what attention sees of the references only in the first step: the more references, the "
        "faster. As Flux2KleinKVPipeline; for klein, best with a checkpoint that was trained for it (klein-9b-kv).",
    )
    step_cache: StepCache = Field(
        default="none",
        description="Let steps reuse what earlier ones computed: faster, and a little different. magcache skips steps "
        "that change little, taylorseer extrapolates every second one, pab uses what attention gave for two steps.",
    )
    mag_ratios: tuple[PositiveFloat, ...] = Field(
        default=(),
        max_length=1000,
        strict=False,  # JSON and scripts give lists
        description="For step_cache magcache: how much larger what all blocks add is at each step than at the one "
        "before, as benchmarks/mag_ratios.py measures it. Empty: the model's own, where its limner.json has them.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the transformer's blocks: the first step of each size takes a minute or more, all others "
        "less than before. It changes the last bits.",
    )

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """A batch that runs out of seeds, an attention that nobody knows, what does not go together to be fast."""
        for message in name_faults(self.attention):
            yield "attention", message
        if self.seed + self.batch > SEED_LIMIT:
            yield "seed", f"{self.batch} seeds from {self.seed} on go past {SEED_LIMIT - 1}"
        yield from setting_faults(self._speed, has_references="references" in wired)

    def device_problems(self, device: Device) -> Iterator[tuple[str, str]]:
        """An attention that is written for other devices, or that this machine has not."""
        for message in faults_on(device, self.attention):
            yield "attention", message
        if self.compile and device.is_here:
            for message in compiler_faults(device.name):
                yield "compile", message

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """All steps; references of which nothing is known count as one of a megapixel. Raises ModelError."""
        spec, prompt, references = (inputs.get(name) for name in ("transformer", "conditioning", "references"))
        if not isinstance(spec, Transformer):
            return None
        if "references" in inputs and not isinstance(references, PictureSizes):
            references = needs.UNKNOWN_REFERENCE
        drawing = needs.Drawing(
            steps=self.steps,
            guidance=self.guidance,
            batch=self.batch,
            width=self.width,
            height=self.height,
            prompt=prompt if isinstance(prompt, PromptSize) else None,
            references=references,
            speed=self._speed,
        )
        return needs.denoise(spec, drawing, device)

    def run(
        self,
        ctx: Context,
        transformer: Transformer,
        conditioning: Conditioning,
        references: ReferenceLatents | None = None,
    ) -> Latent:
        """Denoise, from the last checkpoint where there is one. Stops within a step when cancelled."""
        for setting, message in setting_faults(self._speed, references is not None):  # of settings that were wired
            raise InputError(f"{setting}: {message}")
        needs.refuse_early(transformer, self._speed)
        kept = ctx.resume(Latent) if self._has_checkpoints else None
        with ctx.hold(transformer) as live:
            from limner.nodes._flux2.fast import made_fast
            from limner.nodes._flux2.sampling import denoise

            plan = self._plan(live, references)
            if live.is_distilled and self.guidance is not None and self.guidance > 1:
                ctx.warn(f"this model is distilled: guidance {self.guidance:g} is ignored")
            if self.compile:
                _tell_of_compiling(ctx, live, transformer, plan, conditioning, references)
            start = None if kept is None else (kept[0], kept[1].samples)
            with made_fast(live, self._speed, self.attention, plan.steps, ctx.device):
                steps = denoise(live, plan, conditioning, references, ctx.device, start)
                return drawn(ctx, live, steps, plan.steps, has_checkpoints=self._has_checkpoints)

    @property
    def _speed(self) -> Speed:
        return Speed(self.step_cache, self.mag_ratios, self.reference_cache, self.compile)

    @property
    def _has_checkpoints(self) -> bool:
        """A step cache is no part of a state: going on without it would end in other bytes."""
        return self.step_cache == "none"

    def _plan(self, live: LiveTransformer, references: ReferenceLatents | None) -> Plan:
        """Fill what is left empty, as the pipelines do: from the first reference, then from the model."""
        from limner.nodes._flux2.sampling import Plan, reference_size

        own = live.defaults
        width, height = (own.width, own.height) if references is None else reference_size(references)
        return Plan(
            steps=own.steps if self.steps is None else self.steps,
            guidance=own.guidance if self.guidance is None else self.guidance,
            seeds=range(self.seed, self.seed + self.batch),
            width=self.width or width,
            height=self.height or height,
            reference_cache=self.reference_cache,
        )


def _tell_of_compiling(
    ctx: Context,
    live: LiveTransformer,
    transformer: Transformer,
    plan: Plan,
    conditioning: Conditioning,
    references: ReferenceLatents | None,
) -> None:
    """Say why nothing moves, where a size is the first of its kind since the model was loaded."""
    read = 0 if references is None else sum(latent[0, 0].numel() for latent in references.latents)
    size = transformer, plan.grid, len(plan.seeds), plan.reference_cache, conditioning.prompt.shape, read
    if size not in live.compiled:
        ctx.warn("compiling for this size: a minute or more, once while the model is loaded")
        live.compiled.add(size)
