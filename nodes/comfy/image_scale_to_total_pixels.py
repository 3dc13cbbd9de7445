"""ComfyUI's ImageScaleToTotalPixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image

Method = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
_FILTERS: Final[Mapping[Method, str]] = {
    "nearest-exact": "NEAREST",
    "bilinear": "BILINEAR",
    "area": "BOX",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
}
"""Pillow's names."""
MAX_SIDE: Final = 16384


class ComfyImageScaleToTotalPixels(Node):
    """Scale pictures up or down to so many pixels in all, in their proportions.

    lanczos is ComfyUI's to the bit, as both are Pillow's; bilinear, bicubic and area are Pillow's here, which smooths
    where it scales down, and torch's there.
    """

    category: ClassVar[str] = "comfyui"

    upscale_method: Method = Field(default="nearest-exact", description="How pixels become others.")
    megapixels: float = Field(default=1.0, ge=0.01, le=16, description="Of 1024 times 1024 pixels each.")
    resolution_steps: int = Field(default=1, ge=1, le=256, description="Sides become multiples of this.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The new sizes, where the old ones are known."""
        pictures = inputs.get("image")
        if not isinstance(pictures, PictureSizes):
            return None
        return Forecast((PictureSizes(tuple(self._scaled(*size) for size in pictures.sizes)),))

    def run(self, ctx: Context, image: Image) -> Image:
        """Scale every picture. Raises InputError where a side would get absurdly long, or none would be left."""
        import numpy as np
        import PIL.Image

        _, height, width, _ = image.pixels.shape
        size = self._scaled(width, height)
        if not (min(size) >= 1 and max(size) <= MAX_SIDE):
            raise InputError(f"the picture would become {size[0]}x{size[1]}; a side has 1 to {MAX_SIDE} pixels")
        method = PIL.Image.Resampling[_FILTERS[self.upscale_method]]
        scaled = [np.asarray(PIL.Image.fromarray(pixels).resize(size, method)) for pixels in image.pixels]
        return Image(np.stack(scaled))

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Width and height, each rounded to a multiple."""
        factor = (self.megapixels * 1024 * 1024 / (width * height)) ** 0.5
        step = self.resolution_steps
        return round(width * factor / step) * step, round(height * factor / step) * step
