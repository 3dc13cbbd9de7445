"""The part of a picture that is to be repainted, with all detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.sizes import PictureSizes, as_reference
from limner.nodes.values import Image, Mask, Region


class Crop(NamedTuple):
    """What was cut out, enlarged to the size of the picture, and where it came from."""

    image: Image
    mask: Mask
    region: Region


class CropToMask(Node):
    """Cut out what lies around a mask, and enlarge it to the size of the picture.

    A small thing is then repainted with all the detail that the model can give a whole picture. ``Paste`` puts it back
    with ``region``. Of a picture of more than a megapixel, the cut is made from all of its pixels.
    """

    category: ClassVar[str] = "mask"

    padding: int = Field(
        default=32, ge=0, le=4096, description="Pixels of the picture around the mask that the model sees."
    )

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The size of the picture, scaled as it is for encoding."""
        pictures = inputs.get("image")
        if not isinstance(pictures, PictureSizes):
            return None
        return Forecast((PictureSizes(tuple(map(as_reference, pictures.sizes))), None, None))

    def run(self, ctx: Context, image: Image, mask: Mask) -> Crop:
        """Cut out. Raises InputError for more than one picture, and for a mask that is black."""
        from limner.nodes._flux2.overlay import crop_to_mask

        if len(image.pixels) != 1:
            raise InputError(f"there are {len(image.pixels)} pictures, and one can be cut to a mask")
        (picture,) = image.pixels
        if warning := mask.misfit(picture.shape[1], picture.shape[0]):
            ctx.warn(warning)
        pixels, greys, region = crop_to_mask(picture, mask, self.padding)
        return Crop(Image(pixels[None]), Mask(greys), region)
