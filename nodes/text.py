"""A text that several nodes share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node
from limner.nodes._long_text import LONG_TEXT


class Text(Node):
    """A text, to wire into several settings at once."""

    category: ClassVar[str] = "value"
    aliases: ClassVar[tuple[str, ...]] = ("PrimitiveString", "PrimitiveStringMultiline", "string")

    value: str = Field(default="", description="The text.", json_schema_extra=LONG_TEXT)

    def known_outputs(self) -> tuple[str]:
        """The value: it needs no running."""
        return (self.value,)

    def run(self, ctx: Context) -> str:
        """The text."""
        return self.value
