"""From a picture and a mask to latents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.device import Device
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Keep, Node
from limner.nodes._drawing import drawn
from limner.nodes._flux2 import needs
from limner.nodes._flux2.attention import faults_on, name_faults
from limner.nodes.denoise import SEED_LIMIT
from limner.nodes.sizes import CELL, PictureSizes, PromptSize, skipped_steps
from limner.nodes.values import Conditioning, Latent, Mask, ReferenceLatents, Transformer

if TYPE_CHECKING:
    from limner.nodes._flux2.live import LiveTransformer
    from limner.nodes._flux2.sampling import Plan


class Inpaint(Node):
    """Repaint what a mask covers of a picture, guided by a conditioning and by references.

    The picture is "image 1" in the prompt, references follow. The mask is scaled to the picture, and repaints from half
    grey on. Settings that are left empty are the model's own. The result equals Flux2KleinInpaintPipeline to the bit;
    dev, which has no such pipeline in diffusers, is inpainted by the same loop.
    """

    category: ClassVar[str] = "sampling"
    aliases: ClassVar[tuple[str, ...]] = (
        "KSampler",
        "InpaintModelConditioning",
        "VAEEncodeForInpaint",
        "SetLatentNoiseMask",
        "DifferentialDiffusion",
    )
    advanced: ClassVar[frozenset[str]] = frozenset({"attention"})
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    strength: float = Field(
        default=0.8,
        ge=0.01,
        le=1,
        description="How much noise is put over the picture at first: 1 leaves nothing of it, little changes little. "
        "That share of the steps is run.",
    )
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
    attention: str = Field(
        default="",
        description="How attention is computed, in diffusers' words, such as _flash_3_hub or _native_math. "
        "Empty: the model's own. It changes the last bits.",
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A batch that runs out of seeds, and an attention that nobody knows."""
        for message in name_faults(self.attention):
            yield "attention", message
        if self.seed + self.batch > SEED_LIMIT:
            yield "seed", f"{self.batch} seeds from {self.seed} on go past {SEED_LIMIT - 1}"

    def device_problems(self, device: Device) -> Iterator[tuple[str, str]]:
        """An attention that is written for other devices, or that this machine has not."""
        for message in faults_on(device, self.attention):
            yield "attention", message

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The steps that are run, with the picture as the first reference. Raises ModelError."""
        spec, prompt = inputs.get("transformer"), inputs.get("conditioning")
        if not isinstance(spec, Transformer):
            return None
        read = [inputs.get("image"), *([inputs["references"]] if "references" in inputs else [])]
        known = [one if isinstance(one, PictureSizes) else needs.UNKNOWN_REFERENCE for one in read]
        drawing = needs.Drawing(
            steps=self.steps,
            guidance=self.guidance,
            batch=self.batch,
            width=None,
            height=None,
            prompt=prompt if isinstance(prompt, PromptSize) else None,
            references=PictureSizes(tuple(size for one in known for size in one.sizes)),
            strength=self.strength,
        )
        return needs.denoise(spec, drawing, device)

    def run(
        self,
        ctx: Context,
        transformer: Transformer,
        conditioning: Conditioning,
        image: Latent,
        mask: Mask,
        references: ReferenceLatents | None = None,
    ) -> Latent:
        """Repaint, from the last checkpoint where there is one. Stops within a step when cancelled."""
        if len(image.samples) != 1:
            raise InputError(f"there are {len(image.samples)} pictures, and one can be repainted at a time")
        kept = ctx.resume(Latent)
        with ctx.hold(transformer) as live:
            from limner.nodes._flux2.attending import with_attention
            from limner.nodes._flux2.inpainting import inpaint, noised, on_tokens

            plan = self._plan(live, image)
            if live.is_distilled and self.guidance is not None and self.guidance > 1:
                ctx.warn(f"this model is distilled: guidance {self.guidance:g} is ignored")
            if warning := mask.misfit(plan.width, plan.height, slack=CELL):
                ctx.warn(warning)
            shares = on_tokens(mask, plan.width, plan.height)
            if not shares.any():
                ctx.warn(f"the mask covers the middle of no {CELL}x{CELL} pixels: nothing is repainted; grow it")
            first = skipped_steps(plan.steps, self.strength)
            samples = noised(live, plan, image.samples, first, ctx.device) if kept is None else kept[1].samples
            start = (first if kept is None else kept[0], samples)
            with with_attention(live.model, self.attention, ctx.device):
                steps = inpaint(live, plan, image.samples, shares, conditioning, references, ctx.device, start)
                return drawn(ctx, live, steps, plan.steps, first=first)

    def _plan(self, live: LiveTransformer, image: Latent) -> Plan:
        """Fill what is left empty with the model's own; the size is the picture's."""
        from limner.nodes._flux2.sampling import Plan

        own = live.defaults
        rows, columns = image.samples.shape[2:]
        return Plan(
            steps=own.steps if self.steps is None else self.steps,
            guidance=own.guidance if self.guidance is None else self.guidance,
            seeds=range(self.seed, self.seed + self.batch),
            width=columns * CELL,
            height=rows * CELL,
        )
