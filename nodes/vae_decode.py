"""From latents to pixels."""

from __future__ import annotations

from typing import ClassVar

from limner.engine.context import Context
from limner.engine.node import Keep, Node
from limner.nodes.values import VAE, Image, Latent


class VAEDecode(Node):
    """Turn latents into pictures."""

    category: ClassVar[str] = "image"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def run(self, ctx: Context, vae: VAE, latent: Latent) -> Image:
        """Decode the batch at once."""
        with ctx.hold(vae) as live:
            from limner.nodes._flux2.decode import decode, to_pixels

            return Image(to_pixels(decode(live, latent.samples)))
