"""What time it is, as an argument: tests have clocks of their own."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970. ``time.time`` is one."""

    def __call__(self) -> float:
        """The time now."""
        ...
