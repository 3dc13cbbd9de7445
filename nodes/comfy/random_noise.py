"""ComfyUI's RandomNoise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.values import Noise
from limner.nodes.denoise import SEED_LIMIT


class ComfyRandomNoise(Node):
    """Say which noise a picture begins with.

    A seed means the noise that it means for Denoise. ComfyUI draws other numbers from it: in float32, and for a batch
    from one generator, where here each picture has one, with the seed that follows.
    """

    category: ClassVar[str] = "comfyui"

    noise_seed: int = Field(default=0, ge=0, lt=SEED_LIMIT, description="The same seed gives the same picture.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The seed."""
        return Forecast((Noise(self.noise_seed),))

    def run(self, ctx: Context) -> Noise:
        """The seed: the sampler makes the noise."""
        return Noise(self.noise_seed)
