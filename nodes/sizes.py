"""What is known of values before they exist: how large pictures and prompts will be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CELL: Final = 16
"""Pixels a side of what becomes one token."""
MAX_REFERENCE_PIXELS: Final = 1024 * 1024
"""Larger references are scaled down to this many."""


@dataclass(frozen=True)
class PictureSizes:
    """Pictures, or what becomes of them: references, latents. Pixels, (width, height) each."""

    sizes: tuple[tuple[int, int], ...]

    @property
    def pixels(self) -> int:
        """Of all of them."""
        return sum(width * height for width, height in self.sizes)

    @property
    def tokens(self) -> int:
        """What a transformer reads of them."""
        return sum((width // CELL) * (height // CELL) for width, height in self.sizes)


@dataclass(frozen=True)
class PromptSize:
    """A conditioning."""

    tokens: int
    prompts: int = 1
    """Two where there is a negative one."""
    width: int | None = None
    """Of each token, for all layers that are read; None where it is not known."""


def skipped_steps(steps: int, strength: float) -> int:
    """How many of the first steps are left out where a picture is worked on, as in the pipelines; one is always run."""
    return int(max(steps - min(steps * strength, steps), 0))


def as_reference(size: tuple[int, int]) -> tuple[int, int]:
    """What a picture is scaled and cut to before it is encoded."""
    width, height = size
    if width * height > MAX_REFERENCE_PIXELS:
        scale = (MAX_REFERENCE_PIXELS / (width * height)) ** 0.5
        width, height = int(width * scale), int(height * scale)
    return width // CELL * CELL, height // CELL * CELL
