"""What safetensors files say of themselves in their headers: dtypes, shapes and bytes, without reading a weight."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.engine.errors import ModelError
from limner.nodes._flux2.shards import missing_files

MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class Stored:
    """One tensor as a file holds it."""

    path: Path
    key: str
    dtype: str
    """In the words of safetensors: ``BF16``, ``F32``, ..."""
    shape: tuple[int, ...]
    size_bytes: int


def read_folder(folder: Path) -> dict[str, Stored]:
    """Every tensor of a component's files. Raises ModelError where one is not safetensors, or missing."""
    if missing := missing_files(folder):
        raise ModelError(f"{folder} lacks {shorten(missing)}", hint="its download was not finished: download it again")
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found.update(read_tensors(path))
    if not found:
        raise ModelError(f"{folder} has no weights in safetensors")
    return found


def read_tensors(path: Path) -> dict[str, Stored]:
    """The tensors of a file, from its header. Raises ModelError where it is not safetensors, or ends too early."""
    header, here = _read_header(path)
    try:
        found = {
            name: Stored(path, name, entry["dtype"], tuple(map(int, entry["shape"])), _size(entry))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, error) from error
    wanted = sum(tensor.size_bytes for tensor in found.values())  # tensors lie one behind another, without gaps
    if here < wanted:
        raise ModelError(f"{path} is cut off: {here:,} of {wanted:,} bytes are there", hint="download the file again")
    return found


def shorten(names: Iterable[str]) -> str:
    """The first three names and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more


def _size(entry: Mapping[str, Any]) -> int:
    begin, end = entry["data_offsets"]
    return int(end) - int(begin)


def read_metadata(path: Path) -> Mapping[str, Any]:
    """What a file's header says besides its tensors: texts by name. Raises ModelError where it is not safetensors."""
    found = _read_header(path)[0].get("__metadata__")
    return found if isinstance(found, dict) else {}


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes are behind it."""
    try:
        with path.open("rb") as file:
            length, size_bytes = int.from_bytes(file.read(8), "little"), path.stat().st_size
            if length > min(MAX_HEADER_BYTES, size_bytes):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, error) from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not a JSON object")
    return header, size_bytes - 8 - length


def _broken(path: Path, reason: object) -> ModelError:
    return ModelError(f"{path} is not safetensors: {reason}", hint="download the file again")
