"""A server and a browser for the editor's tests. They are started once, where there is an editor and a browser."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]  # importlib mode adds no folder by itself


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the node Waits waits for."""
    return tmp_path_factory.mktemp("editor") / "gate"


@pytest.fixture(scope="session")
def server(gate: Path) -> Iterator[str]:
    """A server with a worker, for all tests of the editor."""
    from editing import NODES, older  # found through the line above, as the next
    from process import served

    from limner.server.editor.package import editor_folder

    if editor_folder() is None:
        pytest.skip('the editor is not installed: pip install "limner[editor]"')
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("there is no chromium: apt-get install chromium")
    nodes = gate.with_name("nodes.py")
    nodes.write_text(NODES)
    data = gate.with_name("data")
    with served(data, "--nodes", str(nodes), "--log-level", "warning", **older()) as (_, url):
        assert url
        yield url


@pytest.fixture(scope="module")
def context(server: str) -> Iterator[Any]:
    """A window, whose tabs share what they read of the editor's files.

    Not for all modules at once: while it is open no other test can have an event loop.
    """
    pytest.importorskip("playwright.sync_api", reason="it drives the browser")
    from browser import chromium  # found through the line above

    with chromium() as browser:
        yield browser.new_context(viewport={"width": 1280, "height": 800})


@pytest.fixture
def editor(context: Any, server: str) -> Iterator[Any]:
    """A tab with our first graph. Afterwards nothing waits or runs, and settings are as they were."""
    from editing import editing  # found through the line above
    from test_serve import ask

    with editing(context, server) as editor:
        yield editor
    for state in ("pending", "in_progress"):
        for job in ask(f"{server}/v1/jobs?state={state}")["jobs"]:
            ask(f"{server}/v1/jobs/{job['id']}/cancel", {})


@pytest.fixture
def setting(server: str) -> Iterator[Any]:
    """Change a setting of the editor for one test; the next has it as it is at first."""

    def change(name: str, value: Any, first: Any) -> None:
        back[name] = first
        write({name: value})

    def write(values: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{server}/settings", json.dumps(values).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:
            answer.read()

    back: dict[str, Any] = {}
    yield change
    write(back)
