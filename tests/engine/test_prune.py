"""Keeping a folder under a size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from limner.engine.node import Port
from limner.engine.prune import prune
from limner.engine.store import Store


@dataclass(frozen=True)
class Block:
    suffix: ClassVar[str] = ".block"
    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def to_bytes(self) -> bytes:
        return self.content

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        return cls(content)


def _fill(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number // 3}" / f"{number}.bin" for number in range(count)]
    for age, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, ns=(age * 10**9, age * 10**9))
    return paths


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    """Past the limit the oldest files go, until a fifth of it is free."""
    paths = _fill(tmp_path, 12)
    assert prune(tmp_path, max_bytes=1000) == 400
    assert [path.exists() for path in paths] == [False] * 4 + [True] * 8


def test_a_folder_within_its_limit_is_left_alone(tmp_path: Path) -> None:
    """Nothing goes while there is room."""
    paths = _fill(tmp_path, 10)
    assert prune(tmp_path, max_bytes=1000) == 0
    assert all(path.exists() for path in paths)


def test_a_store_stays_under_its_limit(tmp_path: Path) -> None:
    """However much is put, the folder stays near its limit, and what was read lately is still there."""
    store = Store(tmp_path, max_bytes=20_000)
    port = [Port("block", Block)]
    store.put("f" * 64, [Block(b"favourite" * 50)])
    for number in range(100):
        store.put(f"{number:064x}", [Block(bytes([number]) * 1000)])
        assert store.get("f" * 64, port) == (Block(b"favourite" * 50),)
    assert store.size_bytes() <= 25_000
    assert store.get(f"{0:064x}", port) is None
