"""ComfyUI's ImageScaleToTotalPixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.scaling import Method, known_scaled, scaled
from limner.nodes.values import Image


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
        """The new sizes, where the old ones are known. Raises GraphError."""
        sizes = known_scaled(inputs.get("image"), self._size)
        return None if sizes is None else Forecast((sizes,))

    def run(self, ctx: Context, image: Image) -> Image:
        """Scale every picture. Raises InputError where a side would get absurdly long, or none would be left."""
        _, height, width, _ = image.pixels.shape
        return scaled(image, self._size(width, height), self.upscale_method)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height, each rounded to a multiple."""
        factor = (self.megapixels * 1024 * 1024 / (width * height)) ** 0.5
        step = self.resolution_steps
        return round(width * factor / step) * step, round(height * factor / step) * step
