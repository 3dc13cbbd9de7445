"""What became of every variant of a sweep, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from limner.engine.sweep import Axis, written
from limner.sweep_row import Row

if TYPE_CHECKING:
    from limner.nodes.tables import Cell, Table


def sweep_table(axes: Sequence[Axis], rows: Sequence[Row], *, seconds: bool = False) -> Table:
    """A row a variant: its values, files, state and error; with ``seconds``, what it took, empty where nothing ran.

    Without ``seconds`` it depends on nothing but what was asked for and what came of it.
    """
    from limner.nodes.tables import Table

    names = [axis.name for axis in axes]
    ours = ["file", "state", *(["seconds"] if seconds else []), "error"]
    columns = (*names, *(_free(name, names) for name in ours))
    return Table(columns, tuple(_cells(row, seconds=seconds) for row in rows))


def _cells(row: Row, *, seconds: bool) -> tuple[Cell, ...]:
    took: list[Cell] = [None if row.seconds is None else round(row.seconds, 3)] if seconds else []
    return (*map(_cell, row.values.values()), "; ".join(row.files) or None, row.state, *took, row.error)


def _cell(value: Any) -> Cell:
    return value if isinstance(value, str | int | float | None) else written(value)


def _free(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else f"{name} of the variant"
