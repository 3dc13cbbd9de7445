"""The page about jobs shows what jobs do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()


def test_the_example_runs_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python example hands in a graph, waits, and says where the picture is."""
    monkeypatch.chdir(tmp_path)
    found = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    exec(found[1], {})  # the example itself
    state, picture = capsys.readouterr().out.splitlines()
    name, path = picture.split()
    assert (state, name) == ("completed", "outputs/image.png")
    assert Path(path).read_bytes().startswith(b"\x89PNG")
