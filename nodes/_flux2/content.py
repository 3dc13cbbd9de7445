"""What a file holds, as text: a full hash where that is quick, a sampled one for weights of gigabytes. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

from limner.engine.errors import ModelError

SMALL_BYTES: Final = 16 << 20
"""Weights up to this size count by all of their content: the embedded model is the same on every machine."""
_HEAD_BYTES: Final = 1 << 20
"""What begins a file of weights: names, types and shapes of its tensors."""
_SAMPLES: Final = 128
_SAMPLE_BYTES: Final = 16 << 10


def sha256_of(path: Path) -> str:
    """The hash of a whole file, computed again only where its stamp has changed. Raises ModelError."""
    try:
        stat = path.stat()
        return _sha256(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    except OSError as error:
        raise _unreadable(path, error) from error


def content_of(path: Path) -> str:
    """What a file holds now, on this machine: its hash, or for large weights size and time. Raises ModelError.

    For cache keys, which must see every change at once and are taken before each run.
    """
    try:
        stat = path.stat()
        return f"{stat.st_size} {stat.st_mtime_ns}" if _is_large(path, stat.st_size) else sha256_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def portable_content_of(path: Path) -> str:
    """What a file holds, the same for equal files wherever they lie: ``sha256:`` or ``sampled:``. Raises ModelError.

    ``sampled`` is the SHA-256 of a large file's size, its first MiB and 128 evenly spread blocks of 16 KiB, so that
    64 GB take a moment. Training, merging or quantizing weights changes nearly all of their bytes, so it shows.
    """
    try:
        stat = path.stat()
        if not _is_large(path, stat.st_size):
            return f"sha256:{sha256_of(path)}"
        return f"sampled:{_sampled(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)}"
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_large(path: Path, size_bytes: int) -> bool:
    return path.suffix in (".safetensors", ".gguf") and size_bytes > SMALL_BYTES


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1024)
def _sampled(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    digest = hashlib.sha256(f"{size}\0".encode())
    with path.open("rb", buffering=0) as file:
        for block in _blocks(file, size):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    yield file.read(_HEAD_BYTES)
    for index in range(_SAMPLES):
        file.seek(index * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
        yield file.read(_SAMPLE_BYTES)


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path} cannot be read: {error.strerror or error}")
