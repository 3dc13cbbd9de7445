"""Computing with another attention than the model's own, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models import attention_dispatch
from torch import nn

from limner.engine.errors import DeviceError
from limner.nodes._flux2.attention import BACKENDS, device_faults

_dispatch: Any = attention_dispatch


@contextmanager
def with_attention(model: nn.Module, name: str, device: str) -> Iterator[None]:
    """Let a model's attention be computed by a backend, and by its own afterwards; ``""`` changes nothing.

    As diffusers' ``set_attention_backend``, but for this model alone: that also sets what every other model uses that
    names none, and other nodes may be computing. Raises DeviceError where the backend is not usable here.
    """
    if not name:
        yield
        return
    backend = _usable(name, device)
    processors = [one for layer in model.modules() if (one := _processor(layer)) is not None]
    before = [processor._attention_backend for processor in processors]
    try:
        for processor in processors:
            processor._attention_backend = backend
        yield
    finally:
        for processor, own in zip(processors, before, strict=True):
            processor._attention_backend = own


def _processor(layer: nn.Module) -> Any:
    """What computes the attention of a layer; None where it has none that can be told how."""
    processor = getattr(layer, "processor", None)
    return processor if hasattr(processor, "_attention_backend") else None


def _usable(name: str, device: str) -> Any:
    """The backend, checked, and its kernel downloaded where it comes from the hub. Raises DeviceError."""
    for message in device_faults(name, device):
        raise DeviceError(f"attention: {message}")
    known = BACKENDS[name]
    if known.capabilities and torch.cuda.get_device_capability(device)[0] not in known.capabilities:
        raise DeviceError(
            f"attention: {name} needs {known.needs}, and {device} is a {torch.cuda.get_device_name(device)}",
            hint="leave attention empty",
        )
    backend = _dispatch.AttentionBackendName(name)
    try:
        _dispatch._check_attention_backend_requirements(backend)
        _dispatch._maybe_download_kernel_for_backend(backend)
    except Exception as error:  # whatever a package or a download raises
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(f"attention: {name} cannot be used: {line}", hint="leave attention empty") from error
    return backend
