"""The page about the architecture tells the truth about the folders."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_engine_is_on_the_page() -> None:
    """The table names each file of the folder once, and no other."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    table = page.partition("## The engine, file by file")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+\.py)`", row)]
    assert sorted(named) == sorted(path.name for path in (ROOT / "engine").glob("*.py") if path.stem != "__init__")
