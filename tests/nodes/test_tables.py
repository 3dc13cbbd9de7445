"""A table is what it was, in every format."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from limner.nodes.values import Table

TABLE = Table(
    ("label", "weights_bytes", "psnr_db", "fits"),
    (('full, "exact"', 64_500_000_000, None, False), ("nf4 | 4 bits\nnew", 16_620_000_000, 31.41592653589793, True)),
)


def test_a_table_comes_back_from_its_bytes() -> None:
    """Equal to the last digit, in any script; what is no table is refused."""
    table = Table(("näme 红", "b"), (("x", 0.1 + 0.2), ("", None)))
    assert Table.from_bytes(table.to_bytes()) == table
    assert table.size_bytes == len(table.to_bytes())
    for content in (b"", b"[]", b"{}", b'{"columns": ["a"], "rows": [[1, 2]]}', b'{"columns": 3, "rows": 4}'):
        with pytest.raises(ValueError):  # noqa: PT011  # of several kinds, as reading JSON has
            Table.from_bytes(content)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [((), ()), (("a", "a"), ()), (("a",), ((1, 2),)), (("a",), ((float("nan"),),)), (("a",), (([],),))],
)
def test_what_no_file_can_hold_is_no_table(columns: Any, rows: Any) -> None:
    with pytest.raises(ValueError, match=r"columns have|a row has|a cell is"):
        Table(columns, rows)


def test_markdown_is_for_people() -> None:
    """Numbers are grouped, rounded and to the right; nothing in a cell breaks the table."""
    assert TABLE.to_markdown() == (
        "| label | weights_bytes | psnr_db | fits |\n"
        "| --- | --: | --: | --- |\n"
        '| full, "exact" | 64,500,000,000 |  | no |\n'
        "| nf4 \\| 4 bits new | 16,620,000,000 | 31.42 | yes |\n"
    )


def test_csv_is_for_programs() -> None:
    """Every digit, and cells with commas, quotes and line ends."""
    _, full, nf4 = csv.reader(io.StringIO(TABLE.to_csv(), newline=""))
    assert full == ['full, "exact"', "64500000000", "", "False"]
    assert nf4 == ["nf4 | 4 bits\nnew", "16620000000", "31.41592653589793", "True"]


def test_records_go_by_column() -> None:
    assert TABLE.records()[1]["weights_bytes"] == 16_620_000_000
