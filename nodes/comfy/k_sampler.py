"""ComfyUI's KSampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Keep, Node
from limner.nodes.comfy.guiding import guided, known_guider
from limner.nodes.comfy.sampling import draw, forecast_drawing
from limner.nodes.comfy.values import SIMPLE_MU, AnyConditioning, AnyTransformer, Sigmas, attached
from limner.nodes.denoise import SEED_LIMIT
from limner.nodes.values import Latent

PARTIAL = "only 1 is there: less noise begins with a picture, which Inpaint does"


class ComfyKSampler(Node):
    """Turn noise into latents along ComfyUI's schedule "simple", which is the same for all sizes.

    Flux2Scheduler, and Denoise, shift the schedule by the size of the picture instead, as FLUX.2's own pipelines do.
    The two give other pictures.
    """

    category: ClassVar[str] = "comfyui"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT, description="The same seed gives the same picture.")
    steps: int = Field(default=20, ge=1, le=1000, description="More is finer and slower.")
    cfg: float = Field(default=8.0, ge=0, le=100, description="How far to lead away from the negative; 1 does not.")
    sampler_name: Literal["euler"] = Field(default="euler", description="The rule by which steps are taken.")
    scheduler: Literal["simple"] = Field(default="simple", description="How the noise falls from step to step.")
    denoise: float = Field(default=1.0, ge=0, le=1, description="The share of noise to begin with. Only 1.")

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """Less than all noise."""
        if self.denoise != 1:
            yield "denoise", PARTIAL

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """All steps. Raises ModelError, GraphError."""
        guider = known_guider(inputs.get("model"), inputs.get("positive"), self.cfg, inputs.get("negative"))
        return forecast_drawing(guider, self._sigmas, inputs.get("latent_image"), self.seed, device)

    def run(
        self,
        ctx: Context,
        model: AnyTransformer,
        positive: AnyConditioning,
        negative: AnyConditioning,
        latent_image: Latent,
    ) -> Latent:
        """Denoise, from the last checkpoint where there is one. Stops within a step when cancelled."""
        guider = guided(model, attached(positive), attached(negative), self.cfg)
        return draw(ctx, guider, self.seed, self._sigmas, latent_image)

    @property
    def _sigmas(self) -> Sigmas:
        return Sigmas(self.steps, mu=SIMPLE_MU)
