"""ComfyUI's BasicGuider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.guiding import guided, known_guider
from limner.nodes.comfy.values import AnyConditioning, AnyTransformer, Guider, attached


class ComfyBasicGuider(Node):
    """Lead a transformer by one conditioning."""

    category: ClassVar[str] = "comfyui"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """What is known of both."""
        return Forecast((known_guider(inputs.get("model"), inputs.get("conditioning")),))

    def run(self, ctx: Context, model: AnyTransformer, conditioning: AnyConditioning) -> Guider:
        """Both together."""
        return guided(model, attached(conditioning))
