"""ComfyUI's ComfySwitchNode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node

T = TypeVar("T", bound=object)


class ComfyComfySwitchNode(Node):
    """Give on one of two values.

    Both are made. Where a client sends a prompt whose switch is known, the other one is left out before, as in ComfyUI.
    """

    category: ClassVar[str] = "comfyui"

    switch: bool = Field(default=False, description="Whether on_true is given on, and not on_false.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """What is known of the one that is given on."""
        return Forecast((inputs.get("on_true" if self.switch else "on_false"),))

    def run(self, ctx: Context, on_false: T, on_true: T) -> T:
        """One of them."""
        return on_true if self.switch else on_false
