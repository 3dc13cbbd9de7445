"""ComfyUI's ConditioningZeroOut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.values import AnyConditioning, AttachedConditioning, attached, known_conditioning


class ComfyConditioningZeroOut(Node):
    """A conditioning of zeros, as long as the given one, with what was attached to it."""

    category: ClassVar[str] = "comfyui"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """As large as what came."""
        return Forecast((known_conditioning(inputs.get("conditioning")),))

    def run(self, ctx: Context, conditioning: AnyConditioning) -> AttachedConditioning:
        """Zeros in the place of the prompt."""
        import torch

        before = attached(conditioning)
        return replace(before, prompt=torch.zeros_like(before.prompt))
