"""Files of groups that wait on disk: safetensors as diffusers' hooks read them, and a list that says they are whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock
from torch import Tensor

from limner.engine.errors import ModelError

CACHE_LINE: Final = 64
MANIFEST: Final = "groups.json"
_DTYPES: Final[Mapping[torch.dtype, str]] = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
}

Layout = dict[str, dict[str, str]]
"""By file, relative to the folder: the key of each tensor, and its name in the module."""


def write_groups(folder: Path, layout: Layout, read: Callable[[str], Tensor]) -> None:
    """Write one file after the other, and the list of them last. Raises OSError."""
    files = {name: _write_group(folder / name, keys, read) for name, keys in layout.items()}
    _write(folder / MANIFEST, [json.dumps(files).encode()])


def intact_groups(folder: Path) -> Layout | None:
    """What complete and unchanged files in a folder hold; None where one is missing, cut off or another."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())
        if all(_is_unchanged(folder / name, entry) for name, entry in files.items()):
            return {name: dict(entry["tensors"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


@contextmanager
def new_groups(folder: Path) -> Iterator[Path | Layout]:
    """A folder to fill, which takes its name when it is complete; or what the folder holds, if somebody has filled it.

    One process, and one thread of it, is in here at a time. A folder that is intact may be in use, and stays.
    Raises ModelError where the disk refuses.
    """
    made, broken = (folder.with_name(f"{folder.name}.{kind}") for kind in ("part", "broken"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if (layout := intact_groups(folder)) is not None:
                yield layout
                return
            try:
                for left in (made, broken):  # by a process that was killed: nobody else is at work
                    shutil.rmtree(left, ignore_errors=True)
                made.mkdir()
                yield made
                if folder.exists():
                    folder.rename(broken)
                made.rename(folder)
            finally:
                for left in (made, broken):
                    shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"groups of layers cannot be kept in {folder.parent}: {error.strerror or error}",
            hint="make room there, or name another folder under offload.disk",
        ) from error


def _is_unchanged(path: Path, entry: Mapping[str, Any]) -> bool:
    stat = path.stat()
    return bool(
        stat.st_size == entry["size_bytes"]
        and (stat.st_mtime_ns == entry["mtime_ns"] or _sha256(path) == entry["sha256"])
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_group(path: Path, keys: Mapping[str, str], read: Callable[[str], Tensor]) -> dict[str, Any]:
    """Write the tensors of a group. What the manifest says of the file."""
    content = _safetensors([(key, read(name)) for key, name in keys.items()])
    digest = _write(path, content)
    stat = path.stat()
    return {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest, "tensors": dict(keys)}


def _safetensors(tensors: Iterable[tuple[str, Tensor]]) -> list[Any]:
    """The parts of a file: its header, then bytes of tensors, with filling between them.

    Kernels of a CPU round by where in a cache line a tensor begins, and hooks compute on the file as it is mapped. So
    each begins where it did in the memory that it comes from: what is computed is then the same to the bit.
    """
    header: dict[str, Any] = {}
    parts: list[Any] = []
    end = 0

    def put(name: str, dtype: str, shape: Iterable[int], content: Any, size_bytes: int) -> None:
        nonlocal end
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size_bytes]}
        parts.append(content)
        end += size_bytes

    for key, tensor in tensors:
        if gap := (tensor.data_ptr() - end) % CACHE_LINE:
            put(f"before_{key}", "U8", [gap], bytes(gap), gap)
        content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
        put(key, _DTYPES[tensor.dtype], tensor.shape, content, tensor.nbytes)
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % CACHE_LINE)
    return [len(text).to_bytes(8, "little"), text, *parts]


def _write(path: Path, parts: Iterable[Any]) -> str:
    """Write a file through to the disk. Gives its SHA-256. Raises OSError, before it writes where room is short."""
    parts = list(parts)
    size_bytes = sum(memoryview(part).nbytes for part in parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
