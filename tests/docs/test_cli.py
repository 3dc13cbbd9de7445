"""The page about the command line shows what the command line does."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from typer.testing import CliRunner

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
EXAMPLES = [
    (lines[0], lines[1:])
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for lines in (part.splitlines() for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part)
]


def matches(shown: list[str], expected: list[str]) -> bool:
    """Whether the lines are those of the page, where ``...`` stands for anything."""
    pattern = "\n".join(line.replace("[", "[[]").replace("...", "*").rstrip() for line in expected)
    text = "\n".join(line.rstrip() for line in shown)
    return fnmatchcase(text, pattern) or fnmatchcase(text, f"*\n{pattern}")  # a framework may say something first


def test_the_examples_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of the page, run in order, shows what the page says."""
    from limner.commands import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LIMNER_TOKEN", raising=False)
    assert len(EXAMPLES) >= 10
    for command, expected in EXAMPLES:
        program, *arguments = shlex.split(command)
        assert program == "limner"
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert matches(result.output.splitlines(), expected), f"{command}\n{result.output}"


def test_every_option_of_run_is_on_the_page() -> None:
    """The table has each option of ``limner run``."""
    from typer.main import get_command

    from limner.commands import app

    command = get_command(app).commands["run"]
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in PAGE, option
