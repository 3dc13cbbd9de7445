"""An integer that several nodes share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node


class Integer(Node):
    """An integer, such as a seed, to wire into several settings at once."""

    category: ClassVar[str] = "value"
    aliases: ClassVar[tuple[str, ...]] = ("PrimitiveInt", "int", "seed")

    value: int = Field(default=0, description="The integer.")

    def known_outputs(self) -> tuple[int]:
        """The value: it needs no running."""
        return (self.value,)

    def run(self, ctx: Context) -> int:
        """The integer."""
        return self.value
