"""Nodes for measuring the server: trivial ones, and one that takes its time in steps."""

import time

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Node


class Start(Node):
    """A number."""

    value: int = 0

    def run(self, ctx: Context) -> int:
        """Give it."""
        return self.value


class Add(Node):
    """A number and a bit more."""

    amount: int = Field(default=1, ge=0)

    def run(self, ctx: Context, value: int) -> int:
        """Add."""
        return value + self.amount


class Wait(Node):
    """Steps of a known length, which cost nothing."""

    steps: int = Field(default=100, ge=1)
    step_s: float = Field(default=0.05, gt=0)
    salt: int = 0

    def run(self, ctx: Context) -> int:
        """Wait."""
        for step in range(1, self.steps + 1):
            time.sleep(self.step_s)
            ctx.progress(step, self.steps)
        return self.salt
