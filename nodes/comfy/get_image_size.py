"""ComfyUI's GetImageSize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image


class ImageSize(NamedTuple):
    """How large pictures are, in pixels, and how many."""

    width: int
    height: int
    batch_size: int


class ComfyGetImageSize(Node):
    """Say how large pictures are, to draw others of that size."""

    category: ClassVar[str] = "comfyui"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The size, where it is known."""
        pictures = inputs.get("image")
        if not isinstance(pictures, PictureSizes):
            return None
        return Forecast((*pictures.sizes[0], len(pictures.sizes)))

    def run(self, ctx: Context, image: Image) -> ImageSize:
        """Read it off the pixels."""
        count, height, width, _ = image.pixels.shape
        return ImageSize(width, height, count)
