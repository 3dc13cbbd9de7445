"""The versions of what makes a picture, without importing any of it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

SOFTWARE: Final = ("limner", "torch", "diffusers", "transformers")
"""The packages that decide the bytes of every picture."""
BESIDE: Final = (
    "numpy",
    "pillow",
    "tokenizers",
    "accelerate",
    "peft",
    "bitsandbytes",
    "torchao",
    "optimum-quanto",
    "gguf",
)
"""The packages that decide the bytes of some: how a quantized layer computes, how a JPEG is read."""


def software() -> dict[str, str]:
    """The versions of what every picture needs."""
    found = _versions(SOFTWARE)
    return {name: found.get(name, "unknown") for name in SOFTWARE}  # a checkout may run without being installed


def computing_software() -> dict[str, str]:
    """The versions that keys depend on: what others computed is not taken for what these would."""
    return software() | _versions(BESIDE)


def all_software() -> dict[str, str]:
    """The versions that pictures name: those of keys, so that none is named that did not make it, and Python's."""
    return computing_software() | {"python": platform.python_version()}


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
