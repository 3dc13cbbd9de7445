"""ComfyUI's PrimitiveFloat."""

from __future__ import annotations

from typing import ClassVar

from limner.nodes.number import Number


class ComfyPrimitiveFloat(Number):
    """A number, to wire into several settings at once, as Number is."""

    category: ClassVar[str] = "comfyui"
