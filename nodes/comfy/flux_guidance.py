"""ComfyUI's FluxGuidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.values import (
    DEFAULT_GUIDANCE,
    AnyConditioning,
    AttachedConditioning,
    attached,
    known_conditioning,
)


class ComfyFluxGuidance(Node):
    """Attach to a conditioning how closely FLUX.2 dev follows it. klein reads no guidance."""

    category: ClassVar[str] = "comfyui"

    guidance: float = Field(default=DEFAULT_GUIDANCE, ge=0, le=100, description="How closely to follow the prompt.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """What came, with guidance."""
        return Forecast((replace(known_conditioning(inputs.get("conditioning")), guidance=self.guidance),))

    def run(self, ctx: Context, conditioning: AnyConditioning) -> AttachedConditioning:
        """What came, with guidance."""
        return replace(attached(conditioning), guidance=self.guidance)
