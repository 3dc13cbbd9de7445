"""How many bytes of tensors are alive at once while modules compute: on any device, the meta device included.

Every operation passes through a dispatch mode, which counts each new storage from its making to its end. What a kernel
takes for itself while it runs is not seen; what eager PyTorch allocates for tensors is, to the byte.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves the mode's hooks untyped
    """Counts storages that are made while the mode is on. ``peak_bytes`` is the most that was alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.alive_bytes = self.peak_bytes = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and _key(leaf) not in before:
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.alive_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.alive_bytes)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.alive_bytes -= size


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


@contextmanager
def fused_attention() -> Iterator[None]:
    """Attention as fused kernels have it: an output and a float32 sum a row, and no matrix of scores."""
    real = torch.nn.functional.scaled_dot_product_attention

    def fused(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device)
        return query.new_empty((*query.shape[:-1], value.shape[-1]))

    torch.nn.functional.scaled_dot_product_attention = fused  # the meta device would take the unfused one
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = real


def peak_on_meta(compute: Callable[[], object]) -> int:
    """The most bytes that were alive at once, beyond what was there before, with fused attention and no gradients."""
    with torch.no_grad(), fused_attention(), Allocations() as seen:
        kept = compute()
    del kept
    return int(seen.peak_bytes)


def fit(rows: list[list[float]], measured: list[float]) -> list[float]:
    """The non-negative coefficients with the least relative errors: rows of features times these give ``measured``."""
    scaled = torch.tensor([[x / y for x in row] for row, y in zip(rows, measured, strict=True)], dtype=torch.float64)
    ones = torch.ones(len(rows), 1, dtype=torch.float64)
    active = list(range(scaled.shape[1]))
    while True:
        found = torch.linalg.lstsq(scaled[:, active], ones, driver="gelsd").solution.flatten()
        if (found >= 0).all():
            break
        active.pop(int(found.argmin()))
    values = dict(zip(active, found.tolist(), strict=True))
    return [values.get(index, 0.0) for index in range(scaled.shape[1])]


def worst_error(rows: list[list[float]], measured: list[float], found: list[float]) -> float:
    """The largest relative error of a fit."""
    predicted = [math.fsum(a * x for a, x in zip(found, row, strict=True)) for row in rows]
    return max(abs(p / m - 1) for p, m in zip(predicted, measured, strict=True))
