"""One server for the tests of this folder, with two clients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.client import Client

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from remote import ANNA, BERT, serving, write_tokens  # found through the line above


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMNER_TOKEN", "LIMNER_SERVER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr("limner.nodes._remote.retry.FIRST_WAIT_S", 0.01)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of its own process."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder / "data", "--token-file", str(write_tokens(folder / "tokens"))) as (url, _):
        yield url


@pytest.fixture
def anna(server: str) -> Iterator[Client]:
    """A client with every right."""
    with Client(server, token=ANNA) as client:
        yield client


@pytest.fixture
def bert(server: str) -> Iterator[Client]:
    """Another one, with none but its own."""
    with Client(server, token=BERT) as client:
        yield client
