"""The editor's settings as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.server.comfy.own_settings import DEFAULTS, OwnSettings


@pytest.mark.parametrize("content", [b"", b'{"Comfy.A": 1', b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_file_is_put_aside(tmp_path: Path, content: bytes) -> None:
    """The editor opens with its first settings, takes new ones, and what the file held is kept beside it."""
    own = OwnSettings(tmp_path / "settings.json")
    own.path.write_bytes(content)
    assert own.all() == DEFAULTS
    own.change({"Comfy.A": 2})
    assert own.all() == {**DEFAULTS, "Comfy.A": 2}
    assert (tmp_path / "settings.damaged.json").read_bytes() == content
