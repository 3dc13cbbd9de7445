"""Whether the server says truly that jobs can be handed in."""

from __future__ import annotations

import asyncio
import logging
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from limner.server import readiness


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was found is held."""
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "limner.server"]


def test_a_folder_that_is_deleted_is_noticed(serving: Any, at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """Without its folder the server is not ready, takes no job that nobody would find, and says why, once."""
    folder = Path.cwd()

    async def use(api: Any) -> None:
        await api.submit()
        assert (await api.ask("GET", "/readyz")).status == 200
        shutil.rmtree(folder)
        for _ in range(3):
            answer = await api.ask("GET", "/readyz")
            assert (answer.status, str(folder) in answer.body.decode()) == (503, False)
        assert sum("no job can be taken in" in message for message in messages(caplog)) == 1
        assert f"{folder}/jobs.db was deleted or replaced" in messages(caplog)[-1]
        folder.mkdir()
        assert (await api.ask("POST", "/v1/jobs", {"template": "text_to_image"})).status == 503
        assert not (folder / "jobs.db").exists(), "no second store is begun beside the one that is open"

    serving(use)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_is_noticed_and_that_it_is_over(
    serving: Any, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing more can be written the server is not ready; when there is room again, it is."""
    caplog.set_level(logging.INFO, "limner.server")

    async def use(api: Any) -> None:
        assert (await api.ask("GET", "/readyz")).status == 200
        with full_disk():
            assert (await api.ask("GET", "/readyz")).status == 503
        assert (await api.ask("GET", "/readyz")).status == 200
        assert messages(caplog)[-1] == "jobs can be taken in again"

    serving(use)


def test_a_place_for_results_that_is_none_is_noticed(serving: Any, at_once: None) -> None:
    """Where the store can be written but results cannot, the server is not ready."""
    Path("artifacts").write_text("a file")

    async def use(api: Any) -> None:
        assert (await api.ask("GET", "/readyz")).status == 503

    serving(use)


def test_many_who_ask_cost_one_look(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found holds for a while, and all who ask meanwhile are given it."""
    monkeypatch.setattr(readiness, "FRESH_S", 60.0)
    looks: list[None] = []

    async def use(api: Any) -> None:
        probe = api.service.store.probe
        monkeypatch.setattr(api.service.store, "probe", lambda: looks.append(probe()))
        answers = await asyncio.gather(*(api.ask("GET", "/readyz") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert len(looks) == 1

    serving(use)


@contextmanager
def full_disk() -> Iterator[None]:
    """A disk on which no file can grow past what the store has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
