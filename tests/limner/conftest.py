"""The command line in this process, and sessions that tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

QUICK = ("--set", "steps=2", "--set", "width=64", "--set", "height=64")

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that tests start: the model is small, and tests share the machine


@dataclass(frozen=True)
class Answer:
    """What a command gave."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    def nodes(self, event: str) -> list[str]:
        """The nodes of all events of a kind."""
        return [e["node"] for e in self.events if e["event"] == event]


Limner = Callable[..., Answer]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """What processes of tests have, so that bytes are the same."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a working folder and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def limner() -> Limner:
    """The command line: ``limner("run", "text_to_image")``."""
    from limner.commands import app

    def call(*arguments: str) -> Answer:
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        return Answer(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def quick(limner: Limner) -> Limner:
    """Run a template on the embedded model: two steps, a small picture."""
    return lambda template, *options: limner("run", template, *QUICK, *options)


@pytest.fixture(scope="session")
def session() -> Iterator[Any]:
    """A session that keeps its models for all tests."""
    from limner import Session

    with Session() as session:
        yield session


@pytest.fixture
def graph_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a graph file from a mapping of nodes, or from text or bytes as they are."""

    def write(content: Any, name: str = "graph.json", **head: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps({"limner": 1, "name": "mine", "nodes": content} | head)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
