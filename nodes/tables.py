"""Tables as values: figures that a node found, to be shown and saved."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar

Cell = str | int | float | bool | None
SUFFIXES = (".md", ".csv", ".json")
"""What a table can be written as."""


@dataclass(frozen=True)
class Table:
    """Rows of cells under named columns. A cell that is None is empty. Stored as JSON."""

    suffix: ClassVar[str] = ".json"

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns have names of their own, not {self.columns}")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(self.columns)} cells, not {len(row)}")
            if odd := [cell for cell in row if not _is_cell(cell)]:
                raise ValueError(f"a cell is a text, a finite number, true, false or empty, not {odd[0]!r}")

    @property
    def size_bytes(self) -> int:
        """Bytes of the table as JSON."""
        return len(self.to_bytes())

    def records(self) -> list[dict[str, Cell]]:
        """Each row by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_bytes(self) -> bytes:
        """The table as JSON: ``{"columns": [...], "rows": [[...], ...]}``."""
        return json.dumps({"columns": self.columns, "rows": self.rows}, ensure_ascii=False, indent=1).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Table:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        try:
            found: Any = json.loads(content)
            return cls(tuple(found["columns"]), tuple(tuple(row) for row in found["rows"]))
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"a stored table that is none: {error!r}") from error

    def to_file(self, suffix: str) -> bytes:
        """The content of a file with one of the ``SUFFIXES``."""
        if suffix == ".json":
            return self.to_bytes() + b"\n"
        return (self.to_markdown() if suffix == ".md" else self.to_csv()).encode()

    def to_csv(self) -> str:
        """The table with full precision, for spreadsheets and programs (RFC 4180)."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return buffer.getvalue()

    def to_markdown(self) -> str:
        """The table for people: numbers to the right and rounded to four digits."""
        is_number = [
            all(cell is None or (isinstance(cell, (int, float)) and not isinstance(cell, bool)) for cell in column)
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(self.columns)
        rules = ["--:" if numeric else "---" for numeric in is_number]
        lines = [map(_markdown, self.columns), rules, *(map(_markdown, row) for row in self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _is_cell(cell: object) -> bool:
    return isinstance(cell, str | int | None) or (isinstance(cell, float) and math.isfinite(cell))


def _markdown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")
