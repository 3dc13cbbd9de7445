"""Masks that reach a little further, or less far."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node
from limner.nodes.values import Mask


class GrowMask(Node):
    """Let a mask reach so many pixels further in every direction; where the number is negative, less far."""

    category: ClassVar[str] = "mask"
    aliases: ClassVar[tuple[str, ...]] = ("expand mask", "shrink mask", "dilate", "erode")

    pixels: int = Field(default=8, ge=-512, le=512, description="How far it grows; negative shrinks.")

    def run(self, ctx: Context, mask: Mask) -> Mask:
        """Greys keep their shade; the border of the picture is no edge of the mask."""
        from limner.nodes._mask_edges import grown

        if self.pixels < 0:
            return Mask(255 - grown(255 - mask.values, -self.pixels))
        return Mask(grown(mask.values, self.pixels))
