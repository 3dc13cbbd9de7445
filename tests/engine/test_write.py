"""Writing files whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from limner.engine.write import write_atomically


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Folders are made, nothing else is left, and the file may be read as the user's other files may."""
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two", durable=False)
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["b.txt"]
    (tmp_path / "plain").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """Where the target cannot be replaced, it stays, and no part of the new one does."""
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011  # which one differs by system
        write_atomically(tmp_path / "folder", b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    """While two threads write, each reading finds one of their contents, whole."""
    path, contents = tmp_path / "file", [b"a" * 50_000, b"b" * 70_000]
    write_atomically(path, contents[0])

    def write(content: bytes) -> None:
        for _ in range(40):
            write_atomically(path, content, durable=False)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_bytes() in contents
    for thread in threads:
        thread.join()
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
