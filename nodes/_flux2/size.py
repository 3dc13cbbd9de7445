"""What a module weighs: every byte that lives as long as it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn


def module_bytes(module: nn.Module) -> int:
    """Bytes of parameters, buffers and quantization state."""
    return tensors_bytes((*module.parameters(), *module.buffers()))


def tensors_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors and their quantization state; those that share their memory count once."""
    storages: dict[int, int] = {}
    for tensor in tensors:
        for part in _parts(tensor):
            storage = part.untyped_storage()
            storages[storage.data_ptr() or id(part)] = storage.nbytes()
    return sum(storages.values())


def _parts(tensor: Any) -> Iterator[Tensor]:
    """The plain tensors that one consists of: torchao and quanto nest them, bitsandbytes hangs them on."""
    pending = [tensor]
    while pending:
        one = pending.pop()
        if hasattr(one, "__tensor_flatten__"):
            names, _ = one.__tensor_flatten__()
            pending.extend(getattr(one, name) for name in names)
        else:
            yield one
            pending.extend(part for part in _bitsandbytes_state(one) if part is not None)


def _bitsandbytes_state(tensor: Any) -> Iterator[Tensor | None]:
    yield getattr(tensor, "SCB", None)  # the row scales of int8
    state = getattr(tensor, "quant_state", None)
    while state is not None:  # with double quantization, the scales have a state of their own
        yield from (state.absmax, state.code, state.offset)
        state = state.state2 if state.nested else None
