"""Where the pictures of a sweep stand on its sheet, and how large they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limner.engine.sweep import Axis, written

LARGEST: Final = 256
SMALLEST: Final = 48
"""Pixels of the longer side of a picture on the sheet."""
MAX_SIDE: Final = 6000
"""Pixels that the pictures of a sheet take, across and down."""
_MOST_ACROSS: Final = MAX_SIDE // SMALLEST
MOST_PICTURES: Final = 10_000
_ONE_ROW: Final = 5
"""So few pictures stand side by side."""
_MOST_IN_A_ROW: Final = 12
_WIDE: Final = 1.6
"""Screens are wider than high, and so are sheets: columns for a row."""


@dataclass(frozen=True)
class Panel:
    """A table of pictures: variants by row and column, numbered from 0, and what is written along the edges."""

    heading: str
    row_axis: Axis
    column_axis: Axis
    cells: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Layout:
    """A sheet: panels side by side, or, where there are none, all pictures in rows with words under each."""

    panels: tuple[Panel, ...]
    across: int
    """Panels in a row; without panels, pictures."""
    side: int
    """Pixels of the longer side of a picture."""


def layout(axes: Sequence[Axis]) -> Layout:
    """One axis fills rows, two are the edges of a panel, and of more, each combination of the first has its panel.

    The longer of two axes runs across where it has at most twelve values, and down otherwise. What would be wider than
    a sheet fills rows.
    """
    count = math.prod(len(axis.values) for axis in axes)
    if len(axes) > 1:
        panels = _panels(axes)
        rows, columns = len(panels[0].cells), len(panels[0].cells[0])
        across = _across(len(panels), columns, rows)
        down = math.ceil(len(panels) / across)
        if max(across * columns, down * rows) <= _MOST_ACROSS:
            return Layout(panels, across, _side(across * columns, down * rows))
    across = count if count <= _ONE_ROW else _across(count, 1, 1)
    return Layout((), across, _side(across, math.ceil(count / across)))


def _panels(axes: Sequence[Axis]) -> tuple[Panel, ...]:
    *leading, first, last = axes
    size = len(first.values) * len(last.values)
    panels = []
    for number, chosen in enumerate(itertools.product(*(axis.values for axis in leading))):
        cells = [
            tuple(range(start, start + len(last.values)))
            for start in range(number * size, (number + 1) * size, len(last.values))
        ]
        heading = ", ".join(f"{axis.name} {written(value)}" for axis, value in zip(leading, chosen, strict=True))
        if _is_turned(len(first.values), len(last.values)):
            panels.append(Panel(heading, last, first, tuple(zip(*cells, strict=True))))
        else:
            panels.append(Panel(heading, first, last, tuple(cells)))
    return tuple(panels)


def _is_turned(rows: int, columns: int) -> bool:
    """Whether the first axis runs across instead of down: people scroll down, and rather see all of a row."""
    return rows > columns if max(rows, columns) <= _MOST_IN_A_ROW else rows < columns


def _across(count: int, width: int, height: int) -> int:
    """How many things of a size stand beside each other, so that all of them look like a screen."""
    return min(count, max(1, math.ceil(math.sqrt(count * height / width * _WIDE) - 0.25)))


def _side(columns: int, rows: int) -> int:
    return max(SMALLEST, min(LARGEST, MAX_SIDE // max(columns, rows)))
