"""What became of one variant of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from limner.engine.result import Result
from limner.engine.sweep import label
from limner.nodes.save_image import SUFFIXES

if TYPE_CHECKING:
    from limner.nodes.values import Image

State = Literal["done", "failed", "not run"]


@dataclass(frozen=True)
class Row:
    """One variant: its values, and what came of it."""

    number: int
    """Counted from 1, in the order of the table."""
    values: Mapping[str, Any]
    state: State = "not run"
    files: tuple[str, ...] = ()
    """What it wrote."""
    seconds: float | None = None
    """What computing took; None where nothing had to be computed."""
    error: str | None = None
    result: Result | None = field(default=None, compare=False)
    """What the run gave; None where nothing was run, and in ``Sweep.rows``, which keeps no values."""
    was_there: bool = False
    """Whether it was finished earlier, its files and all, so that nothing was run."""

    @property
    def images(self) -> list[Image]:
        """Its pictures: from its files, or of a graph that writes none, from its result."""
        from limner.nodes.values import Image

        saved = [path for path in self.files if path.lower().endswith(SUFFIXES)]
        if saved or self.result is None:
            return [_read(path) for path in saved]
        return self.result.values(Image)

    def __str__(self) -> str:
        return label(self.values)


def _read(path: str) -> Image:
    """A picture that was saved. Raises OSError."""
    import numpy as np
    import PIL.Image

    from limner.nodes.values import Image

    with PIL.Image.open(path) as opened:
        return Image(np.asarray(opened.convert("RGB"))[None])
