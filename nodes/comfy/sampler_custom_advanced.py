"""ComfyUI's SamplerCustomAdvanced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes.comfy.sampling import draw, forecast_drawing
from limner.nodes.comfy.values import Guider, Noise, Sampler, Sigmas
from limner.nodes.values import Latent


class Sampled(NamedTuple):
    """What a sampler gives."""

    output: Latent
    denoised_output: Latent


class ComfySamplerCustomAdvanced(Node):
    """Turn noise into latents, as Denoise does and to the same bits.

    Every schedule here begins with nothing but noise, so of ``latent_image`` only the size is used, as in ComfyUI. The
    schedule ends without noise, so both outputs are the same.
    """

    category: ClassVar[str] = "comfyui"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """All steps. Raises ModelError, GraphError."""
        guider, sigmas, latent, noise = (inputs.get(name) for name in ("guider", "sigmas", "latent_image", "noise"))
        seed = noise.seed if isinstance(noise, Noise) else None
        found = forecast_drawing(guider, sigmas, latent, seed, device)
        return None if found is None else replace(found, outputs=found.outputs * 2)

    def run(
        self, ctx: Context, noise: Noise, guider: Guider, sampler: Sampler, sigmas: Sigmas, latent_image: Latent
    ) -> Sampled:
        """Denoise, from the last checkpoint where there is one. Stops within a step when cancelled."""
        latent = draw(ctx, guider, noise.seed, sigmas, latent_image)
        return Sampled(latent, latent)
