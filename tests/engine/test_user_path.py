"""Paths that users write."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.engine.errors import InputError
from limner.engine.user_path import user_path


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody-of-this-name/x"])
def test_a_path_that_cannot_be_is_refused_in_words(name: str) -> None:
    with pytest.raises(InputError):
        user_path(name)


def test_other_paths_are_given_back(tmp_path: Path) -> None:
    """Whether something is there or not."""
    assert user_path(str(tmp_path)) == tmp_path
    assert user_path(str(tmp_path / "gone" / "x")) == tmp_path / "gone" / "x"
    assert user_path("~") == Path.home()
