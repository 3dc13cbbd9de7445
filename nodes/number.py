"""A number that several nodes share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node


class Number(Node):
    """A number, such as a guidance, to wire into several settings at once."""

    category: ClassVar[str] = "value"
    aliases: ClassVar[tuple[str, ...]] = ("PrimitiveFloat", "float")

    value: float = Field(default=0.0, description="The number.")

    def known_outputs(self) -> tuple[float]:
        """The value: it needs no running."""
        return (self.value,)

    def run(self, ctx: Context) -> float:
        """The number."""
        return self.value
