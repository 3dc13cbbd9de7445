"""ComfyUI's PrimitiveBoolean."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node


class ComfyPrimitiveBoolean(Node):
    """Yes or no, to wire into several settings at once."""

    category: ClassVar[str] = "comfyui"

    value: bool = Field(default=False, description="Yes or no.")

    def known_outputs(self) -> tuple[bool]:
        """The value: it needs no running."""
        return (self.value,)

    def run(self, ctx: Context) -> bool:
        """The value."""
        return self.value
