"""ComfyUI's PrimitiveInt."""

from __future__ import annotations

from typing import ClassVar

from limner.nodes.integer import Integer


class ComfyPrimitiveInt(Integer):
    """An integer, to wire into several settings at once, as Integer is."""

    category: ClassVar[str] = "comfyui"
