"""Which files a component's weights are in, and which of them are missing: a download may have ended half-way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from limner.engine.errors import ModelError
from limner.nodes._flux2.index import read_json

_ENDING: Final = ".safetensors"
_SHARD: Final = re.compile(r"(.+)-\d{5}-of-(\d{5})\.safetensors", re.ASCII)


def weight_files(folder: Path) -> tuple[str, ...]:
    """The names of the weight files in a component's folder, and of their indices."""
    return tuple(sorted(path.name for path in folder.glob(f"*{_ENDING}*")))


def missing_files(folder: Path) -> list[str]:
    """The weight files that an index, or the names of the others, say there are, and that are not here.

    Raises ModelError where an index is broken.
    """
    here = set(weight_files(folder))
    named = {name for index in folder.glob(f"*{_ENDING}.index.json") for name in shards(index).values()}
    for found in filter(None, map(_SHARD.fullmatch, here)):  # an index may come after its files
        named.update(f"{found[1]}-{number:05}-of-{found[2]}{_ENDING}" for number in range(1, int(found[2]) + 1))
    return sorted(named - here)


def shards(index: Path) -> Mapping[str, str]:
    """File names by tensor. Only plain names: an index points at nothing outside its folder. Raises ModelError."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) and "/" not in name for name in names.values()):
        raise ModelError(f"{index} names no files", hint="download it again")
    return names
