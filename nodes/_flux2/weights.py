"""What safetensors files say of themselves in their headers: dtypes, shapes and bytes, without reading a weight."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.engine.errors import ModelError
from limner.nodes._flux2.shards import missing_files

MAX_HEADER_BYTES = 100_000_000
_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True)
class Stored:
    """One tensor as a file holds it."""

    path: Path
    key: str
    dtype: str
    """In the words of safetensors: ``BF16``, ``F32``, ..."""
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True)
class StoredWeights:
    """The bytes of a component's weights by safetensors dtype (``BF16``, ``F32``, ...)."""

    bytes_by_dtype: dict[str, int]

    @classmethod
    def of(cls, tensors: Iterable[Stored]) -> StoredWeights:
        """Add tensors up."""
        counts: Counter[str] = Counter()
        for tensor in tensors:
            counts[tensor.dtype] += tensor.size_bytes
        return cls(dict(counts))

    @property
    def total_bytes(self) -> int:
        """All bytes of all files."""
        return sum(self.bytes_by_dtype.values())

    def bytes_as(self, itemsize: int) -> int:
        """All bytes once floating-point weights are widened or narrowed to ``itemsize`` bytes each; others stay."""
        return sum(
            size * itemsize // _FLOAT_BYTES[dtype] if dtype in _FLOAT_BYTES else size
            for dtype, size in self.bytes_by_dtype.items()
        )

    @property
    def main_dtype(self) -> str:
        """The dtype that most bytes have."""
        return max(self.bytes_by_dtype, key=lambda dtype: (self.bytes_by_dtype[dtype], dtype))


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
    """The tensors of a file, from its header. Raises ModelError where it is not safetensors."""
    try:
        return {
            name: Stored(path, name, entry["dtype"], tuple(map(int, entry["shape"])), _size(entry))
            for name, entry in _read_entries(path).items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, error) from error


def quantized_bytes(tensors: Mapping[str, Stored], itemsize: int, bits: float, kept: Collection[str]) -> int:
    """Bytes of a component with ``bits`` a weight of linear layers, scales included, and ``itemsize`` bytes elsewhere.

    ``kept`` are names, or parts of names, of layers that are not quantized.
    """
    total = 0.0
    for name, tensor in tensors.items():
        is_kept = any(f".{part}." in f".{name}" for part in kept)
        is_linear = name.endswith(".weight") and len(tensor.shape) == 2 and not is_kept
        total += math.prod(tensor.shape) * (bits / 8 if is_linear else itemsize)
    return math.ceil(total)


def shorten(names: Iterable[str]) -> str:
    """The first three names and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more


def _size(entry: Mapping[str, Any]) -> int:
    begin, end = entry["data_offsets"]
    return int(end) - int(begin)


def _read_entries(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(MAX_HEADER_BYTES, path.stat().st_size):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, error) from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not a JSON object")
    return header


def _broken(path: Path, reason: object) -> ModelError:
    return ModelError(f"{path} is not safetensors: {reason}", hint="download the file again")
