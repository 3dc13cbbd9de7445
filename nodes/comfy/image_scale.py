"""ComfyUI's ImageScale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.scaling import MAX_SIDE, Method, known_scaled, scaled
from limner.nodes.values import Image


class ComfyImageScale(Node):
    """Scale pictures to a size, as ImageScaleToTotalPixels scales them. A side of 0 follows from the other one."""

    category: ClassVar[str] = "comfyui"

    upscale_method: Method = Field(default="nearest-exact", description="How pixels become others.")
    width: int = Field(default=512, ge=0, le=MAX_SIDE, description="Pixels; 0 keeps the proportions.")
    height: int = Field(default=512, ge=0, le=MAX_SIDE, description="Pixels; 0 keeps the proportions.")
    crop: Literal["disabled", "center"] = Field(
        default="disabled", description="center cuts to the new proportions before; disabled stretches."
    )

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The new sizes, where the old ones are known. Raises GraphError."""
        sizes = known_scaled(inputs.get("image"), self._size)
        return None if sizes is None else Forecast((sizes,))

    def run(self, ctx: Context, image: Image) -> Image:
        """Scale every picture; one of 0 by 0 stays. Raises InputError where none would be left."""
        _, height, width, _ = image.pixels.shape
        size = self._size(width, height)
        if not (self.width or self.height):
            return image
        box = _middle(width, height, *size) if self.crop == "center" else None
        return scaled(image, size, self.upscale_method, box)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        if not (self.width or self.height):
            return width, height
        return (
            self.width or max(1, round(width * self.height / height)),
            self.height or max(1, round(height * self.width / width)),
        )


def _middle(width: int, height: int, new_width: int, new_height: int) -> tuple[int, int, int, int]:
    """What is left of a picture, when as much is cut off both ends as its new proportions ask for: at least a pixel."""
    left = max(0, min(round((width - height * new_width / new_height) / 2), (width - 1) // 2))
    top = max(0, min(round((height - width * new_height / new_width) / 2), (height - 1) // 2))
    return left, top, width - left, height - top
