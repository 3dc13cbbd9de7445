"""From latents to pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import VAE, Image, Latent


class VAEDecode(Node):
    """Turn latents into pictures."""

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("latent to image",)
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The batch through the VAE at once. Raises ModelError."""
        spec, latents = inputs.get("vae"), inputs.get("latent")
        if not (isinstance(spec, VAE) and isinstance(latents, PictureSizes)):
            return None
        return needs.decode(spec, latents, device)

    def run(self, ctx: Context, vae: VAE, latent: Latent) -> Image:
        """Decode the batch at once."""
        with ctx.hold(vae) as live:
            from limner.nodes._flux2.decode import decode, to_pixels

            return Image(to_pixels(decode(live, latent.samples)))
