"""The versions of what makes a picture, without importing any of it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

SOFTWARE: Final = ("limner", "torch", "diffusers", "transformers")
"""The packages that decide the bytes of every picture: what they computed is not taken for what others would."""
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
"""The packages that change some pictures, or how they are written: pictures name those that are installed."""


def software() -> dict[str, str]:
    """The versions that keys depend on."""
    found = _versions(SOFTWARE)
    return {name: found.get(name, "unknown") for name in SOFTWARE}  # a checkout may run without being installed


def all_software() -> dict[str, str]:
    """The versions that pictures name."""
    return software() | {"python": platform.python_version()} | _versions(BESIDE)


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
