"""Masks with soft edges."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node
from limner.nodes.values import Mask


class FeatherMask(Node):
    """Blur the edge of a mask, so that what is pasted by it fades into the picture.

    ``Inpaint`` itself repaints from half grey on; the softness is seen by ``Paste``.
    """

    category: ClassVar[str] = "mask"
    aliases: ClassVar[tuple[str, ...]] = ("blur mask",)

    radius: float = Field(default=4.0, ge=0, le=512, description="How far the edge is blurred, in pixels.")

    def run(self, ctx: Context, mask: Mask) -> Mask:
        """Blur with a Gaussian."""
        from limner.nodes._mask_edges import blurred

        return Mask(blurred(mask.values, self.radius))
