"""The editor of a server that asks for tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from editing import FIRST, Editor, older
from process import served

TOKEN = "a-token-of-sixteen-or-more-characters"


@pytest.fixture(scope="module")
def guarded(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that wants one token. Without workers: what is queued waits."""
    options = ("--log-level", "error", "--workers", "0")
    with served(tmp_path_factory.mktemp("guarded"), *options, LIMNER_TOKEN=TOKEN, **older()) as (_, url):
        yield url


def give(page: Any, token: str) -> None:
    page.get_by_label("Token").or_(page.get_by_label("The server asks for your token")).fill(token)
    page.get_by_role("button", name="Log in").click()


def test_a_token_is_asked_for_once(context: Any, guarded: str) -> None:
    """Without one the editor is not shown: the page asks, and leads back. When it is lost while somebody edits, the
    editor asks for it, and goes on with what was asked; the canvas stays as it is.
    """
    page = context.new_page()
    editor = Editor(page, guarded)
    page.goto(guarded)
    give(page, TOKEN)
    editor.until_ready()
    assert page.url.rstrip("/") == guarded
    editor.search("quantiz", "Quantize")
    context.clear_cookies()
    editor.run()
    give(page, "not-the-right-token-at-all")
    page.get_by_text("No client has this token.").wait_for()
    give(page, TOKEN)
    page.get_by_role("dialog", name="Log in").wait_for(state="hidden")
    editor.until("fetch('/v1/jobs').then((answer) => answer.json()).then(({ jobs }) => jobs.length === 1)")
    assert editor.types() == [*FIRST, "Quantize"]
    page.close()
