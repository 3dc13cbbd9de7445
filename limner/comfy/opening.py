"""Files that hold a workflow of ComfyUI: JSON of its editor or of its clients, and the pictures that it saves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from limner.comfy.imported import is_from_comfyui
from limner.engine.document import read_json
from limner.engine.errors import GraphError, InputError
from limner.engine.user_path import user_path
from limner.nodes._picture_text import RECORD, read_texts

MAX_BYTES: Final = 64 << 20
_KIND: Final = re.compile(r" \[(?:input|output|temp)\]$")
"""What ComfyUI writes behind the name of a picture that is not in its folder of inputs."""


def find_workflow(name: str) -> Any | None:
    """The parsed JSON of a file that holds a workflow of ComfyUI; None for all else, also for what is no file.

    A picture that carries a graph of ours is none, and so is JSON that cannot be parsed: others say so better.
    """
    try:
        path = user_path(name)
        if not path.is_file():
            return None
        if path.suffix.lower() == ".png":
            return _in_picture(path)
        if path.suffix.lower() != ".json" or path.stat().st_size > MAX_BYTES:
            return None
        raw = read_json(path.read_bytes())
    except (GraphError, InputError, OSError):
        return None
    return raw if is_from_comfyui(raw) else None


def _in_picture(path: Path) -> Any | None:
    """What ran is taken before what the editor showed: it is exact. But it may hold what JSON does not have, as NaN."""
    texts = read_texts(path).texts
    if RECORD in texts:
        return None
    for name in ("prompt", "workflow"):
        with suppress(GraphError):
            if is_from_comfyui(raw := read_json(texts.get(name, ""))):
                return raw
    return None


def is_opened_by_editor(texts: Mapping[str, str]) -> bool:
    """Whether ComfyUI's editor finds a graph in the texts of a picture: it looks for what it showed, then for what ran.

    What JSON does not have, as NaN, is no hindrance to it.
    """
    with suppress(ValueError, RecursionError):
        return is_from_comfyui(json.loads(texts.get("workflow") or texts.get("prompt", "")))
    return False


def picture_finder(folders: Iterable[Path]) -> Callable[[str], str]:
    """Where the picture of a name lies: in the first of the folders that has it, else as it is named."""
    searched = list(folders)

    def find(name: str) -> str:
        plain = _KIND.sub("", name)
        for folder in searched:
            if plain and not Path(plain).is_absolute() and (folder / plain).is_file():
                return str(folder / plain)
        return plain

    return find
