"""What safetensors files say of themselves in their headers: dtypes and bytes, without reading a weight."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from limner.engine.errors import ModelError

MAX_HEADER_BYTES = 100_000_000
_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True)
class StoredWeights:
    """The bytes of a component's weights by safetensors dtype (``BF16``, ``F32``, ...)."""

    bytes_by_dtype: dict[str, int]

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


def read_headers(folder: Path) -> StoredWeights:
    """Sum up the headers of a component's files. Raises ModelError where one is not safetensors or there is none."""
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("*.safetensors")):
        counts.update(_read_header(path))
    if not counts:
        raise ModelError(f"{folder} has no weights in safetensors")
    return StoredWeights(dict(counts))


def _read_header(path: Path) -> Counter[str]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(MAX_HEADER_BYTES, path.stat().st_size):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        counts: Counter[str] = Counter()
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                counts[entry["dtype"]] += int(end) - int(begin)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not safetensors: {error}", hint="download the file again") from error
    return counts
