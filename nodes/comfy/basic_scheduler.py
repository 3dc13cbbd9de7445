"""ComfyUI's BasicScheduler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.comfy.k_sampler import PARTIAL
from limner.nodes.comfy.values import SIMPLE_MU, AnyTransformer, Sigmas


class ComfyBasicScheduler(Node):
    """Say how the noise falls from step to step: along ComfyUI's "simple", the same for all sizes, as for KSampler."""

    category: ClassVar[str] = "comfyui"

    scheduler: Literal["simple"] = Field(default="simple", description="How the noise falls. There is no other.")
    steps: int = Field(default=20, ge=1, le=1000, description="More is finer and slower.")
    denoise: float = Field(default=1.0, ge=0, le=1, description="The share of noise to begin with. Only 1.")

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """Less than all noise."""
        if self.denoise != 1:
            yield "denoise", PARTIAL

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The schedule."""
        return Forecast((Sigmas(self.steps, mu=SIMPLE_MU),))

    def run(self, ctx: Context, model: AnyTransformer) -> Sigmas:
        """The steps; the schedule is that of all models of FLUX.2."""
        return Sigmas(self.steps, mu=SIMPLE_MU)
