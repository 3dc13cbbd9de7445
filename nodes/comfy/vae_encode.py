"""ComfyUI's VAEEncode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes.sizes import CELL, PictureSizes
from limner.nodes.values import VAE, Image, Latent


class ComfyVAEEncode(Node):
    """Turn pictures into latents, as they are: sides are cut to multiples of 16, and nothing is scaled.

    (EncodeReferences scales down what has more than a megapixel; here ImageScaleToTotalPixels does, or nobody.)
    """

    category: ClassVar[str] = "comfyui"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The pictures through the VAE, one at a time; unknown ones count as one of a megapixel. Raises ModelError."""
        spec, pictures = inputs.get("vae"), inputs.get("pixels")
        if not isinstance(spec, VAE):
            return None
        if not isinstance(pictures, PictureSizes):
            return needs.encode_pictures(spec, needs.UNKNOWN_REFERENCE, device)
        cut = PictureSizes(tuple((width // CELL * CELL, height // CELL * CELL) for width, height in pictures.sizes))
        return needs.encode_pictures(spec, cut, device)

    def run(self, ctx: Context, pixels: Image, vae: VAE) -> Latent:
        """Encode one picture after the other. Raises InputError where a side is too short."""
        from limner.nodes._flux2.references import encode_batch, encode_cut

        return encode_batch(ctx, vae, pixels, encode_cut)
