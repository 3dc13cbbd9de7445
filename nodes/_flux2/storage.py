"""Tensors as the content of a file: safetensors whose header says what they are. Never pickle."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

MAX_HEADER_BYTES = 1 << 20
_KEY = "limner"


def dump(kind: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors by name as safetensors; ``kind`` is the class of the value they belong to.

    ``metadata`` stands in the header besides, for whoever looks there.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    own = {_KEY: json.dumps({"kind": kind, "version": 1})}
    return safetensors.torch.save(plain, metadata={**(metadata or {}), **own})


def read_metadata(kind: str, content: bytes) -> dict[str, str]:
    """What the header of a stored ``kind`` says besides its tensors. Raises ValueError."""
    found = _check_header(kind, content)
    return {name: value for name, value in found.items() if isinstance(value, str)}


def parse(kind: str, content: bytes, *, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Tensor]:
    """Read what ``dump`` wrote. Raises ValueError where kind or names differ, or the content is not safetensors."""
    tensors = _parse(kind, content)
    if not set(required) <= set(tensors) <= {*required, *optional}:
        raise ValueError(f"a stored {kind} with the tensors {sorted(tensors)}")
    return tensors


def parse_series(kind: str, content: bytes, *, rank: int) -> list[Tensor]:
    """Read tensors that were named 0, 1, 2, ... Raises ValueError."""
    tensors = _parse(kind, content)
    try:
        series = [tensors[str(index)] for index in range(len(tensors))]
    except KeyError as error:
        raise ValueError(f"a stored {kind} with the tensors {sorted(tensors)}") from error
    if any(tensor.ndim != rank for tensor in series):
        raise ValueError(f"a stored {kind} with tensors that are not of rank {rank}")
    return series


def _parse(kind: str, content: bytes) -> dict[str, Tensor]:
    _check_header(kind, content)
    try:
        tensors = safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"a broken stored {kind}: {error}") from error
    # Copied to where torch begins its tensors: kernels of a CPU round by the place of a tensor in a cache line, and
    # what was read must give the bits of what was computed.
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _check_header(kind: str, content: bytes) -> Mapping[str, object]:
    """The metadata. Refuses before anything is allocated: the first 8 bytes say how long the header is."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError(f"a stored {kind} whose header is not one")
    try:
        metadata: Mapping[str, object] = json.loads(content[8 : 8 + length])["__metadata__"]
        stored = json.loads(str(metadata[_KEY]))["kind"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"a stored {kind} whose header cannot be read") from error
    if stored != kind:
        raise ValueError(f"a stored {stored!r}, not a {kind}")
    return metadata
