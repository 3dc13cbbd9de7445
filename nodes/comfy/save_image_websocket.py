"""ComfyUI's SaveImageWebsocket."""

from __future__ import annotations

from typing import ClassVar

from limner.engine.context import Context
from limner.engine.node import Node
from limner.nodes.values import Image


class ComfySaveImageWebsocket(Node):
    """Send pictures to the client that handed in the prompt, over its socket. Elsewhere they are only shown."""

    category: ClassVar[str] = "comfyui"
    effect: ClassVar[bool] = True
    shows: ClassVar[bool] = True

    def run(self, ctx: Context, images: Image) -> Image:
        """The same pictures: the run's result holds them for whoever sends or shows them."""
        return images
