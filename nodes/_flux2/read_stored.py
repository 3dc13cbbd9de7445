"""A tensor of a module out of a safetensors file, whatever name and form it has there."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from limner.nodes._flux2.single_file import Piece
from limner.nodes._flux2.weights import Stored

ALIGNMENT_BYTES: Final = 64
"""What torch aligns its own memory to."""


def read_stored(file: Any, stored: Stored) -> Tensor:
    """The tensor, mapped where it can be; ``file`` is what ``safe_open`` gives for its path."""
    tensor: Tensor = file.get_tensor(stored.key)
    if not isinstance(stored, Piece):
        return tensor
    tensor = _rows(tensor, stored)
    if stored.scale:
        scale: Tensor = file.get_tensor(stored.scale).float().reshape(-1)
        scale = scale if scale.numel() == 1 else _rows(scale, stored)
        tensor = tensor.to(torch.float32, copy=True).mul_(scale.reshape(-1, *[1] * (tensor.ndim - 1)))
    return tensor.reshape(stored.shape)


def placed(tensor: Tensor, dtype: torch.dtype, device: str) -> Tensor:
    """In its precision, on its device, and on a CPU where vectors begin: kernels round otherwise elsewhere, so what is
    mapped from a file would be computed with differently than what was copied, and depend on the length of a header.
    """
    placed = tensor.to(device, dtype if tensor.is_floating_point() else None).contiguous()
    return placed.clone() if device == "cpu" and placed.data_ptr() % ALIGNMENT_BYTES else placed


def swapped(tensor: Tensor) -> Tensor:
    """The halves in the other order, by rows."""
    return torch.cat(tensor.chunk(2)[::-1])


def _rows(tensor: Tensor, piece: Piece) -> Tensor:
    index, count = piece.rows
    if count > 1:
        tensor = tensor.chunk(count)[index]
    return swapped(tensor) if piece.is_swapped else tensor
