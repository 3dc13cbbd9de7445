"""ComfyUI's CFGGuider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.guiding import guided, known_guider
from limner.nodes.comfy.values import AnyConditioning, AnyTransformer, Guider, attached


class ComfyCFGGuider(Node):
    """Lead a transformer by a conditioning, and away from a negative one.

    At cfg 1 the negative one is not read. Otherwise both are, at every step, whatever the model: Denoise does so only
    for klein base models.
    """

    category: ClassVar[str] = "comfyui"

    cfg: float = Field(default=8.0, ge=0, le=100, description="How far to lead away; 1 does not.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """What is known of all of them. Raises GraphError."""
        model, positive, negative = (inputs.get(name) for name in ("model", "positive", "negative"))
        return Forecast((known_guider(model, positive, self.cfg, negative),))

    def run(self, ctx: Context, model: AnyTransformer, positive: AnyConditioning, negative: AnyConditioning) -> Guider:
        """All together. Raises InputError where the two conditionings have different references."""
        return guided(model, attached(positive), attached(negative), self.cfg)
