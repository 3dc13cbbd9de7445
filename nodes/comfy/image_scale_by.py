"""ComfyUI's ImageScaleBy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.scaling import Method, known_scaled, scaled
from limner.nodes.values import Image


class ComfyImageScaleBy(Node):
    """Scale pictures by a factor, as ImageScaleToTotalPixels scales them."""

    category: ClassVar[str] = "comfyui"

    upscale_method: Method = Field(default="nearest-exact", description="How pixels become others.")
    scale_by: float = Field(default=1.0, ge=0.01, le=8, description="How many times as wide and as high.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The new sizes, where the old ones are known. Raises GraphError."""
        sizes = known_scaled(inputs.get("image"), self._size)
        return None if sizes is None else Forecast((sizes,))

    def run(self, ctx: Context, image: Image) -> Image:
        """Scale every picture. Raises InputError where a side would get absurdly long, or none would be left."""
        _, height, width, _ = image.pixels.shape
        return scaled(image, self._size(width, height), self.upscale_method)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        return round(width * self.scale_by), round(height * self.scale_by)
