"""The page about the architecture tells the truth about the folders."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("heading", "folder"),
    [
        ("The engine", "engine"),
        ("The face", "limner"),
        ("The client of a server", "limner/client"),
        ("The format of ComfyUI", "limner/comfy"),
        ("The server", "server"),
        ("The protocol of ComfyUI", "server/comfy"),
        ("The editor", "server/editor"),
        ("The encoder service", "server/encoder"),
        ("The server's jobs", "server/jobs"),
    ],
)
def test_every_file_is_on_the_page(heading: str, folder: str) -> None:
    """The table names each file of the folder once, and no other."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    table = page.partition(f"## {heading}, file by file")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z]\w+\.py)`", row)]
    assert sorted(named) == sorted(path.name for path in (ROOT / folder).glob("*.py") if not path.stem.startswith("__"))


def test_helpers_of_tests_have_names_of_their_own() -> None:
    """Tests import them by name, so of two with one name only the first to be imported would be found."""
    names = Counter(path.stem for path in (ROOT / "tests").rglob("*.py") if not path.stem.startswith(("test_", "__")))
    assert [name for name, count in names.items() if count > 1 and name != "conftest"] == []
