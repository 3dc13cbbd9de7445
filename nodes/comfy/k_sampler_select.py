"""ComfyUI's KSamplerSelect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.values import Sampler


class ComfyKSamplerSelect(Node):
    """Say how steps are taken: by Euler's rule, as FLUX.2's own pipelines take them. There is no other."""

    category: ClassVar[str] = "comfyui"

    sampler_name: Literal["euler"] = Field(default="euler", description="The rule by which steps are taken.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The name."""
        return Forecast((Sampler(self.sampler_name),))

    def run(self, ctx: Context) -> Sampler:
        """The name: the sampler does the rest."""
        return Sampler(self.sampler_name)
