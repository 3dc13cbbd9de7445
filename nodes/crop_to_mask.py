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
    """Cut out what lies around a mask, and enlarge it to the size of the picture, or to one that the model likes.

    A small thing is then repainted with all the detail that the model can give a whole picture. ``Paste`` puts it back
    with ``region``. Of a picture of more than a megapixel, the cut is made from all of its pixels.
    """

    category: ClassVar[str] = "mask"
    aliases: ClassVar[tuple[str, ...]] = ("CropMask", "ImageCrop", "inpaint crop")

    padding: int = Field(
        default=32, ge=0, le=4096, description="Pixels of the picture around the mask that the model sees."
    )

    width: int | None = Field(
        default=None,
        ge=16,
        le=1024,
        multiple_of=16,
        description="Pixels of the cut, a multiple of 16. Empty: as the picture is encoded, at most a megapixel.",
    )
    height: int | None = Field(
        default=None,
        ge=16,
        le=1024,
        multiple_of=16,
        description="Pixels of the cut, a multiple of 16. Empty: as the picture is encoded, at most a megapixel.",
    )

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The size of the cut."""
        pictures = inputs.get("image")
        if not isinstance(pictures, PictureSizes):
            return None
        return Forecast((PictureSizes(tuple(map(self._size, pictures.sizes))), None, None))

    def run(self, ctx: Context, image: Image, mask: Mask) -> Crop:
        """Cut out. Raises InputError for more than one picture, and for a mask that is black."""
        from limner.nodes._flux2.overlay import crop_to_mask

        if len(image.pixels) != 1:
            raise InputError(f"there are {len(image.pixels)} pictures, and one can be cut to a mask")
        (picture,) = image.pixels
        if warning := mask.misfit(picture.shape[1], picture.shape[0]):
            ctx.warn(warning)
        size = self._size((picture.shape[1], picture.shape[0]))
        pixels, greys, region = crop_to_mask(picture, mask, self.padding, size)
        return Crop(Image(pixels[None]), Mask(greys), region)

    def _size(self, picture: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the cut from a picture of that size."""
        width, height = as_reference(picture)
        return self.width or width, self.height or height
