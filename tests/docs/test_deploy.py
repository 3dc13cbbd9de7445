"""The files and commands that the page about deploying names."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from limner.commands import app
from limner.server.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
UNIT = (ROOT / "deploy" / "limner.service").read_text()


def options(*names: str) -> set[str]:
    """The options of a command."""
    command = get_command(app)
    for name in names:
        command = command.commands[name]  # type: ignore[attr-defined]  # a group
    return {option for parameter in command.params for option in parameter.opts}


def lines() -> list[list[str]]:
    """Every use of ``limner`` in the page and in the files, as words; nothing of what stands behind a comment."""
    dockerfile = " ".join(
        re.findall(r'^(?:ENTRYPOINT|CMD) \["?(.*)"\]', (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    )
    text = (
        UNIT.replace("\\\n", " ")
        + PAGE.replace("\\\n", " ")
        + "\n"
        + dockerfile.replace('", "', " ").replace('" "', " ")
    )
    found = re.findall(r"(?:^|[ =/])limner((?: serve| jobs \w+| token)\b[^\n|#`)>]*)", text, re.MULTILINE)
    return [shlex.split(line.replace(",", " ")) for line in found]


def test_there_are_lines() -> None:
    """What is looked for below is found at all."""
    assert {tuple(line[:2]) for line in lines()} >= {("jobs", "backup"), ("jobs", "restore"), ("token", "anna")}
    assert sum(line[0] == "serve" for line in lines()) >= 4


@pytest.mark.parametrize("line", lines(), ids=" ".join)
def test_options_exist(line: list[str]) -> None:
    """Every option of every command is one that there is."""
    command = line[:2] if line[0] == "jobs" else line[:1]
    assert {word for word in line if word.startswith("--")} <= options(*command)


def test_the_unit_can_be_read() -> None:
    """No key that may stand once stands twice, and nothing of the unit keeps it from its own folders."""
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # the names of systemd are kept as they are
    unit.read_string(UNIT)
    assert unit["Service"]["DynamicUser"] == "yes"
    assert unit["Service"]["ExecStart"].startswith("/opt/limner/bin/limner serve")
    names = re.findall(r"^(\w+)=", UNIT, re.MULTILINE)
    assert {name for name in names if names.count(name) > 1} <= {"DeviceAllow"}


@pytest.mark.parametrize("name", re.findall(r"\]\(\.\./deploy/?([\w.]*)\)", PAGE))
def test_files_exist(name: str) -> None:
    """What the page links to is there."""
    assert (ROOT / "deploy" / name).exists()


def test_every_metric_is_explained() -> None:
    """The table has all metrics and no others."""
    from limner.server.jobs.history import Standing

    page = Metrics().text(Standing({}, None, False), [], now=0, followers=0, dropped_previews=0)
    made = set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `limner_"))
    assert set(re.findall(r"`(limner_\w+)", table)) == made
