"""A picture to work on, as latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import VAE, Image, Latent


class EncodeImage(Node):
    """Turn pictures into latents, to repaint a part of them.

    Pictures of more than a megapixel are scaled down to one, and sides are scaled to multiples of 16, as in diffusers'
    inpainting. (``EncodeReferences`` cuts sides instead, as diffusers does with references.)
    """

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("VAEEncode", "image to latent", "img2img")
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The pictures through the VAE, one at a time; unknown ones count as one of a megapixel. Raises ModelError."""
        spec, pictures = inputs.get("vae"), inputs.get("images")
        known = pictures if isinstance(pictures, PictureSizes) else needs.UNKNOWN_REFERENCE
        return needs.encode_references(spec, known, device) if isinstance(spec, VAE) else None

    def run(self, ctx: Context, vae: VAE, images: Image) -> Latent:
        """Encode one picture after the other. Raises InputError where a side is too short."""
        from limner.nodes._flux2.references import encode_batch, encode_image

        return encode_batch(ctx, vae, images, encode_image)
