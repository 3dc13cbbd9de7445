"""ComfyUI's VAEDecode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes.vae_decode import VAEDecode
from limner.nodes.values import VAE, Image, Latent


class ComfyVAEDecode(Node):
    """Turn latents into pictures, as VAEDecode does."""

    category: ClassVar[str] = "comfyui"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The batch through the VAE at once. Raises ModelError."""
        return VAEDecode().forecast(device, {"vae": inputs.get("vae"), "latent": inputs.get("samples")})

    def run(self, ctx: Context, samples: Latent, vae: VAE) -> Image:
        """Decode the batch at once."""
        return VAEDecode().run(ctx, vae, samples)
