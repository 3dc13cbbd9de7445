"""What was repainted, back in the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image, Mask, Region


class Paste(Node):
    """Put repainted pictures over the original where a mask is white, and fade them in where it is grey.

    Where the mask is black every pixel is the original's, which no way through a VAE would leave as it was. What was
    cut out by ``CropToMask`` goes back to its ``region``; else the pictures are scaled to the original.
    """

    category: ClassVar[str] = "mask"
    aliases: ClassVar[tuple[str, ...]] = ("ImageCompositeMasked", "inpaint stitch")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The original's size, once for each picture."""
        pictures, original = inputs.get("images"), inputs.get("original")
        if not (isinstance(pictures, PictureSizes) and isinstance(original, PictureSizes)):
            return None
        return Forecast((PictureSizes(original.sizes[:1] * len(pictures.sizes)),))

    def run(self, ctx: Context, images: Image, original: Image, mask: Mask, region: Region | None = None) -> Image:
        """Paste each picture. Raises InputError for more than one original."""
        import numpy as np

        from limner.nodes._flux2.overlay import paste

        if len(original.pixels) != 1:
            raise InputError(f"there are {len(original.pixels)} originals, and one can be pasted into")
        (below,) = original.pixels
        if warning := mask.misfit(below.shape[1], below.shape[0]):
            ctx.warn(warning)
        return Image(np.stack([paste(pixels, below, mask, region) for pixels in images.pixels]))
