"""ComfyUI's Flux2Scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.values import Sigmas
from limner.nodes.sizes import CELL


class ComfyFlux2Scheduler(Node):
    """Say how the noise falls from step to step, for a picture of a size.

    ComfyUI computes the shares of noise here. Here they follow in the sampler from the transformer's own scheduler, as
    for Denoise: the same formula, and the same bits as diffusers; ComfyUI's differ in the last ones.
    """

    category: ClassVar[str] = "comfyui"

    steps: int = Field(default=20, ge=1, le=1000, description="More is finer and slower.")
    width: int = Field(default=1024, ge=16, le=16384, description="Pixels of the picture.")
    height: int = Field(default=1024, ge=16, le=16384, description="Pixels of the picture.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The schedule."""
        return Forecast((self._sigmas(),))

    def run(self, ctx: Context) -> Sigmas:
        """Steps, and how many tokens the picture has, rounded as in ComfyUI."""
        return self._sigmas()

    def _sigmas(self) -> Sigmas:
        return Sigmas(self.steps, round(self.width * self.height / CELL**2))
