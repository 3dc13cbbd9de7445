"""ComfyUI's PrimitiveStringMultiline."""

from __future__ import annotations

from typing import ClassVar

from limner.nodes.text import Text


class ComfyPrimitiveStringMultiline(Text):
    """A text of several lines, to wire into several settings at once, as Text is."""

    category: ClassVar[str] = "comfyui"
