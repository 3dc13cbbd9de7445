"""Workflows of ComfyUI where commands take a graph, and the folders in which their files lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from limner.comfy.imported import Imported, import_graph
from limner.comfy.opening import find_workflow, picture_finder
from limner.engine.errors import InputError
from limner.engine.registry import Registry
from limner.nodes.comfy.model_files import FOLDERS, MODELS_ENV

ComfyModelsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--comfy-models",
        metavar="DIR",
        help=f"ComfyUI's folder, for the model files that its workflows name; otherwise [cyan]{MODELS_ENV}[/].",
    ),
]


def find_imported(name: str, registry: Registry) -> Imported | None:
    """The graph of a file that holds a workflow of ComfyUI; None for all other names. Raises GraphError."""
    raw = find_workflow(name)
    if raw is None:
        return None
    return import_graph(raw, registry, name=_name_of(name), pictures=picture_finder(_picture_folders(Path(name))))


def use_comfy_models(folders: Sequence[Path] | None) -> list[Path]:
    """Have model files looked for in these folders, in this process and those that it starts, and give them, absolute:
    where none are named, those of the environment.

    Raises InputError for one that is not there or has none of ComfyUI's folders.
    """
    chosen = [folder.expanduser().absolute() for folder in folders or _roots()]
    known = [name for names in FOLDERS.values() for name in names]
    for given, folder in zip(folders or (), chosen, strict=False):
        if not any((folder / below / name).is_dir() for below in ("models", ".") for name in known):
            raise InputError(
                f"--comfy-models {given}: there is no folder of ComfyUI's, or none with models",
                hint=f"name the one that holds models/{known[0]}",
            )
    if chosen:
        os.environ[MODELS_ENV] = os.pathsep.join(map(str, chosen))
    return chosen


def _roots() -> list[Path]:
    return [Path(root) for root in os.environ.get(MODELS_ENV, "").split(os.pathsep) if root]


def _name_of(name: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", Path(name).stem)[:200] or "imported"


def _picture_folders(workflow: Path) -> Iterator[Path]:
    """Where the pictures may be that a workflow names: beside it, and where ComfyUI keeps them."""
    yield workflow.parent
    yield workflow.parent / "input"
    for root in _roots():
        yield from (root / "input", root.parent / "input")
