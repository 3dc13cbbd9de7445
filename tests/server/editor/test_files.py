"""The editor's files, and where `/` leads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # pytest's importlib mode adds no folder by itself

from served import ANNA, clients  # found through the line above

from limner.server.editor import package


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of that name, small."""
    static = tmp_path / "site" / package.PACKAGE / "static"
    (static / "assets").mkdir(parents=True)
    (static.parent / "__init__.py").touch()
    (static.parent / "secret.txt").write_text("not to be seen")
    for name in ("index.html", "assets/index-1a2b.js", "assets/index-1a2b.css", "plain.svg", "assets/x.unknown"):
        (static / name).write_text(f"this is {name}")
    monkeypatch.syspath_prepend(static.parents[1])
    yield static
    package.editor_folder.cache_clear()


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    package.editor_folder.cache_clear()
    yield
    package.editor_folder.cache_clear()


def test_without_the_extra_the_page_is_there(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the editor is not installed, / leads to the page, which is told so."""
    monkeypatch.setattr(package, "PACKAGE", "comfyui_frontend_package_that_is_not_there")

    async def use(api: Any) -> None:
        begin = await api.ask("GET", "/", allow_redirects=False)
        assert (begin.status, begin.headers["Location"]) == (302, "/run")
        assert (await api.ask("GET", "/v1/session")).json["has_editor"] is False

    serving(use)


def test_files_have_their_types_and_stay_home(serving: Any, installed: Path) -> None:
    """Each file comes with its type and the rule that nothing is asked of others; hashed ones are kept by browsers."""

    async def use(api: Any) -> None:
        begin = await api.ask("GET", "/")
        assert begin.body == b"this is index.html"
        assert begin.headers["Content-Type"] == "text/html; charset=utf-8"
        assert begin.headers["Cache-Control"] == "no-cache"
        policy = begin.headers["Content-Security-Policy"]
        assert "default-src 'self'; " in policy
        assert "connect-src 'self' blob: data:; " in policy
        assert "http" not in policy
        assert "*" not in policy
        again = await api.ask("GET", "/", headers={"If-None-Match": begin.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
        for path, media_type in (
            ("/assets/index-1a2b.js", "text/javascript; charset=utf-8"),
            ("/assets/index-1a2b.css", "text/css; charset=utf-8"),
            ("/plain.svg", "image/svg+xml"),
            ("/assets/x.unknown", "application/octet-stream"),
        ):
            answer = await api.ask("GET", path)
            assert (answer.body.decode(), answer.headers["Content-Type"]) == (f"this is {path[1:]}", media_type)
            assert ("immutable" in answer.headers["Cache-Control"]) == path.startswith("/assets/")
        assert (await api.ask("GET", "/v1/session")).json["has_editor"] is True

    serving(use)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/%2Fetc%2Fpasswd",
        "/assets//etc/passwd",
        "/assets/%00",
        "/assets/..%5c..%5csecret.txt",
        "/index.html/",
        "/secret.txt",
    ],
)
def test_no_other_file_is_sent(serving: Any, installed: Path, path: str) -> None:
    """Only what the package's folder lists is opened."""

    async def use(api: Any) -> None:
        assert (await api.ask("GET", path)).status == 404

    serving(use)


def test_a_token_is_shown_on_the_page_first(serving: Any, installed: Path) -> None:
    """Without a session / leads to where one begins; the files need none, since anybody can have them."""

    async def use(api: Any) -> None:
        begin = await api.ask("GET", "/", allow_redirects=False)
        assert (begin.status, begin.headers["Location"]) == (302, "/run?then=editor")
        assert (await api.ask("GET", "/assets/index-1a2b.js")).status == 200
        assert (await api.ask("GET", "/assets/other.js")).status == 401
        cookie = (await api.ask("POST", "/v1/session", {"token": ANNA})).headers["Set-Cookie"].partition(";")[0]
        assert (await api.ask("GET", "/", headers={"Cookie": cookie})).body == b"this is index.html"
        headers = {"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}
        cross = await api.ask("GET", "/", headers=headers, allow_redirects=False)
        assert cross.headers["Location"] == "/run?then=editor"

    serving(use, clients=clients())
