"""Looking at pictures without saving them."""

from __future__ import annotations

from typing import ClassVar

from limner.engine.context import Context
from limner.engine.node import Node
from limner.nodes.values import Image


class PreviewImage(Node):
    """Show pictures without writing a file. They may go on to other nodes unchanged."""

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("show image",)
    shows: ClassVar[bool] = True

    def run(self, ctx: Context, images: Image) -> Image:
        """The same pictures: the run's result holds them for whoever shows it."""
        return images
