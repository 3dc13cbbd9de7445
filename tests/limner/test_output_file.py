"""Files that commands write: where nothing can be written is said before anything runs, and nobody's file is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from limner.output_file import folder_fault

RUN = ("run", "text_to_image", "--set", "steps=0")


def test_a_folder_that_is_made_is_looked_for_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest folder that is there decides: whether it is one, and may be written to."""
    (tmp_path / "file").touch()
    assert folder_fault(tmp_path / "new" / "newer" / "a.png") is None
    assert folder_fault(tmp_path / "file" / "new" / "a.png") == f"{tmp_path / 'file'} is not a folder"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert folder_fault(tmp_path / "new" / "a.png") == f"the folder {tmp_path} may not be written to"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "file/a.png"), "--out file/a.png: "),
        (("--sweep", "seed=1,2", "--grid", "file/g.png"), "--grid: "),
        (("--sweep", "seed=1,2", "--table", "file/t.csv"), "--table: "),
    ],
)
def test_an_option_that_cannot_be_written_is_a_fault_as_others(
    limner: Any, options: tuple[str, ...], message: str
) -> None:
    """It comes in one report with what is wrong in the graph, before anything runs."""
    Path("file").touch()
    answer = limner(*RUN, *options)
    assert answer.code == 2
    assert f"✗ {message}{Path('file').absolute()} is not a folder" in answer.stderr
    assert "steps: at least 1" in answer.stderr
    assert "2 faults; nothing was run" in answer.stderr


def test_a_path_of_the_graph_is_looked_at_before_it_runs(limner: Any) -> None:
    """The setting of the node is named, also where a sweep sets it; a plan may be for another machine."""
    Path("file").touch()
    wrong = f"{Path('file').absolute()} is not a folder @ nodes.save.settings.path"
    answer = limner("run", "text_to_image", "--set", "save.path=file/a.png")
    assert (answer.code, f"✗ path: {wrong}" in answer.stderr) == (2, True)
    answer = limner("run", "text_to_image", "--sweep", "save.path=a.png,file/b.png")
    assert (answer.code, f"✗ save.path=file/b.png: {wrong}" in answer.stderr) == (2, True)
    assert limner("plan", "text_to_image", "--set", "save.path=file/a.png").code == 0
    assert not Path("a.png").exists()


def test_out_and_a_sweep_of_paths_exclude_each_other(limner: Any) -> None:
    """What a sweep says of paths is not passed over."""
    answer = limner("run", "text_to_image", "--sweep", "save.path=a.png,b.png", "--out", "c.png")
    assert answer.code == 2
    assert "--sweep save.path: --out says already where files go" in answer.stderr


@pytest.mark.parametrize(
    ("command", "ending"),
    [(("export", "text_to_image", "--python", "--out"), ".py"), (("show", "lora_stack", "--svg"), ".svg")],
)
def test_only_a_file_of_the_same_kind_is_replaced(limner: Any, command: tuple[str, ...], ending: str) -> None:
    """A picture, or a file that only ends alike, stays; what the command wrote itself is replaced."""
    Path("file").touch()
    for name in ("star.png", f"star{ending}"):
        Path(name).write_bytes(b"\x89PNG\0 not of this kind")
        answer = limner(*command, name)
        assert (answer.code, Path(name).read_bytes()[:4]) == (2, b"\x89PNG")
    for _ in range(2):
        assert limner(*command, f"new{ending}").code == 0
    answer = limner(*command, f"file/new{ending}")
    assert (answer.code, "is not a folder" in answer.stderr) == (2, True)


def test_a_sheet_that_fails_at_the_end_hides_nothing(limner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where table and sheet can no longer be written, both are said, below what became of the variants."""

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("limner.output_file.write_atomically", refuse)
    small = ("--set", "width=64", "--set", "height=64", "--set", "steps=1", "--out", "p.png")
    answer = limner("run", "text_to_image", *small, "--sweep", "seed=1,2", "--grid", "g.png", "--table", "t.csv")
    assert answer.code == 2
    assert "p-seed=1.png" in answer.stdout
    assert "✗ g.png cannot be written: No space left on device" in answer.stderr
    assert "✗ t.csv cannot be written: No space left on device" in answer.stderr


def test_a_value_is_set_once(limner: Any) -> None:
    """Two values for one parameter are a fault, not the last one."""
    answer = limner("validate", "text_to_image", "--set", "seed=1", "--set", "seed=2")
    assert (answer.code, "✗ --set seed: is given twice" in answer.stderr) == (2, True)


def test_a_cache_that_is_a_file_is_said_to_be_one(limner: Any) -> None:
    """It is not counted as an empty cache."""
    Path("file").touch()
    for command in ("info", "clear"):
        answer = limner("cache", command, "--cache-dir", "file")
        assert (answer.code, "file is not a folder" in answer.stderr) == (2, True)
