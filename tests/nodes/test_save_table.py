"""Tables are written whole, under a name that nobody had, in the format that the name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import SaveTable
from limner.nodes.values import Table

TABLE = Table(("label", "ssim"), (("a", 1.0), ("b", 0.98765432)))


def save(path: Path, **settings: bool) -> str:
    (written,) = SaveTable(path=str(path), **settings).run(FakeContext(), TABLE).paths
    return written


@pytest.mark.parametrize(("suffix", "shown"), [(".md", "| b | 0.9877 |"), (".csv", "b,0.98765432"), (".JSON", '"b"')])
def test_the_ending_is_the_format(tmp_path: Path, suffix: str, shown: str) -> None:
    path = tmp_path / f"deep/er/a{suffix}"
    assert save(path) == str(path)
    assert shown in path.read_text()
    if suffix == ".JSON":
        assert Table.from_bytes(path.read_bytes()) == TABLE


def test_no_file_is_lost(tmp_path: Path) -> None:
    """A taken name leads to the next free one, unless overwriting was asked for."""
    names = [Path(save(tmp_path / "a.md")).name for _ in range(3)]
    assert names == ["a.md", "a-2.md", "a-3.md"]
    (tmp_path / "a.md").write_text("old")
    assert Path(save(tmp_path / "a.md", overwrite=True)).name == "a.md"
    assert (tmp_path / "a.md").read_text() == TABLE.to_markdown()


def test_other_formats_and_folders_are_faults(tmp_path: Path) -> None:
    """Before anything runs."""
    (tmp_path / "folder.md").mkdir()
    for path, message in (
        ("a.txt", "must end in .md, .csv or .json"),
        ("folder.md", "is a folder"),
        ("a\0.md", "no path"),
    ):
        ((setting, found),) = SaveTable(path=str(tmp_path / path)).problems()
        assert setting == "path"
        assert message in found
    assert list(SaveTable().problems()) == []


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "file" / "a.md")
