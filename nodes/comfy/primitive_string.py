"""ComfyUI's PrimitiveString."""

from __future__ import annotations

from typing import ClassVar

from limner.nodes.text import Text


class ComfyPrimitiveString(Text):
    """A text, to wire into several settings at once, as Text is."""

    category: ClassVar[str] = "comfyui"
