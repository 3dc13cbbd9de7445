"""Paths that users write."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.engine.errors import InputError
from limner.engine.user_path import CONFINE_ENV, LISTED_ENV, confine, may_be_listed, user_path


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody-of-this-name/x"])
def test_a_path_that_cannot_be_is_refused_in_words(name: str) -> None:
    with pytest.raises(InputError):
        user_path(name)


def test_other_paths_are_given_back(tmp_path: Path) -> None:
    """Whether something is there or not."""
    assert user_path(str(tmp_path)) == tmp_path
    assert user_path(str(tmp_path / "gone" / "x")) == tmp_path / "gone" / "x"
    assert user_path("~") == Path.home()


def test_in_a_confined_process_no_path_leads_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what really lies below an open folder is given; what is refused is refused alike, whether it is there."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.png").touch()
    (inside / "link").symlink_to(outside)
    (inside / "good").symlink_to(inside / "a.png")
    (tmp_path / "beside").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CONFINE_ENV, "")
    confine([inside])
    for name in ("inside/a.png", str(inside / "a.png"), "inside/good", "inside/new/b.png", "owner/model"):
        assert user_path(name) == Path(name)
    messages = set()
    for name in (
        str(outside / "a.png"),
        str(outside / "b.png"),
        "inside/../outside/a.png",
        "inside/link/a.png",
        "beside",
    ):
        with pytest.raises(InputError, match="outside the folders") as error:
            user_path(name)
        messages.add(str(error.value).replace(name, ""))
    assert len(messages) == 1
    for name in ("../x", "~", "~root/x", "a\\..\\b", "C:x", "/", "/nothing/at/all"):
        with pytest.raises(InputError):
            user_path(name)


def test_nothing_open_is_nothing_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an open folder there is still the name of what is elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CONFINE_ENV, "")
    (tmp_path / "a.png").touch()
    assert user_path("owner/model") == Path("owner/model")
    with pytest.raises(InputError):
        user_path("a.png")


def test_patterns_match_in_listed_folders_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a confined process what is open is not thereby listed, and links count by where they lead."""
    monkeypatch.setenv(LISTED_ENV, "")
    monkeypatch.delenv(CONFINE_ENV, raising=False)
    assert may_be_listed(tmp_path / "a.png")
    monkeypatch.setenv(CONFINE_ENV, "")
    private, shared = tmp_path / "private", tmp_path / "shared"
    for folder in (private, shared):
        folder.mkdir()
    (shared / "link").symlink_to(private)
    confine([private, shared], listed=[shared])
    paths = (shared / "*.png", private / "*.png", shared / "link" / "a.png", shared / ".." / "private" / "a.png")
    assert [may_be_listed(path) for path in paths] == [True, False, False, False]
