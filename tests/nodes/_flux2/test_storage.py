"""Tensors that were stored are those that were computed, down to where they begin in memory."""

from __future__ import annotations

import torch

from limner.nodes._flux2.storage import dump, parse

CACHE_LINE = 64  # bytes; where torch begins every tensor that it makes


def test_what_is_read_begins_where_torch_begins_its_tensors() -> None:
    """Kernels of a CPU round by the place of a tensor in a cache line: off it, a resumed picture has other bits."""
    kept = []  # so that no place is used twice
    for length in range(1, 60):
        tensors = {"a": torch.randn(1, length), "b": torch.randn(3, 5).bfloat16()}
        kept.append(parse("Thing", dump("Thing", tensors), required=("a", "b")))
        assert all(torch.equal(kept[-1][name], tensor) for name, tensor in tensors.items())
    assert all(tensor.data_ptr() % CACHE_LINE == 0 for read in kept for tensor in read.values())
