"""What templates are called where people choose one."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9_-]+")
"""Of graphs that have no title."""
_WORDS: Final = {
    **{word: word.upper() for word in ("cfg", "cpu", "gpu", "gguf", "nf4", "fp4", "fp8", "int8", "ram", "vae")},
    "flux2": "FLUX.2",
    "klein": "FLUX.2 klein",
    "lora": "LoRA",
}
_SIZE: Final = re.compile(r"(\d+)(b|gb|mb)")


def title_of(template: str, name: str) -> str:
    """The name of the graph where that is a title; else made of the template's: ``cpu_offload_62gb`` is
    "CPU offload 62 GB".
    """
    if not _NAME.fullmatch(name):
        return name
    title = " ".join(_word(word) for word in re.split("[_-]+", template.strip("_-")))
    return title[:1].upper() + title[1:]


def _word(word: str) -> str:
    """As people write it; of models, 4B is a size too, without a space."""
    if size := _SIZE.fullmatch(word):
        number, unit = size.groups()
        return f"{number}B" if unit == "b" else f"{number} {unit.upper()}"
    return _WORDS.get(word, word)
