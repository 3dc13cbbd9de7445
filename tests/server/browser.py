"""A browser as the tests of the page use it: Debian's Chromium, which asks nobody but the server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

SLOW_MS = 120_000
"""How long something may take on a machine that does much else."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; the test is skipped where there is none."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any,
    url: str,
    path: str = "/run",
    *,
    width: int = 1280,
    height: int = 900,
    scheme: str = "light",
    expected: str = "",
) -> Iterator[Any]:
    """The page in a window of its own.

    Afterwards nothing was asked of another host, nothing was thrown, and the console holds no errors but those of
    answers whose text has ``expected`` in it.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    context.set_default_timeout(SLOW_MS)
    asked: list[str] = []
    wrong: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    try:
        page = context.new_page()
        page.goto(url + path)
        yield page
    finally:
        context.close()
    hosts = {urlsplit(one).netloc for one in asked if not one.startswith("blob:")}
    assert hosts == {urlsplit(url).netloc}
    assert [text for text in wrong if not (expected and expected in text)] == []
