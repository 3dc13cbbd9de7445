"""ComfyUI's EmptyFlux2LatentImage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.sizes import CELL, PictureSizes
from limner.nodes.values import Latent

CHANNELS = 128


class ComfyEmptyFlux2LatentImage(Node):
    """Latents of a size, with nothing in them. Sides are cut to multiples of 16."""

    category: ClassVar[str] = "comfyui"

    width: int = Field(default=1024, ge=16, le=8192, description="Pixels.")
    height: int = Field(default=1024, ge=16, le=8192, description="Pixels.")
    batch_size: int = Field(default=1, ge=1, le=64, description="Pictures at once.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The size."""
        size = (self.width // CELL * CELL, self.height // CELL * CELL)
        return Forecast((PictureSizes((size,) * self.batch_size),))

    def run(self, ctx: Context) -> Latent:
        """Zeros, (N, 128, H/16, W/16)."""
        import torch

        return Latent(torch.zeros(self.batch_size, CHANNELS, self.height // CELL, self.width // CELL))
