"""Where the editor's files are: those of the package ``comfyui-frontend-package``, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGE: Final = "comfyui_frontend_package"
INDEX: Final = "index.html"


@cache
def editor_folder() -> Path | None:
    """The folder of the files; None where the extra ``editor`` is not installed."""
    spec = find_spec(PACKAGE)
    places = () if spec is None else spec.submodule_search_locations or ()
    return next((folder for place in places if ((folder := Path(place) / "static") / INDEX).is_file()), None)


@cache
def files_in(folder: Path) -> Mapping[str, Path]:
    """Every file by its path on the server, such as ``/assets/index.js``. What is not listed is never opened."""
    return {f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}


def is_editor_file(path: str) -> bool:
    """Whether a path of a request is one of the editor's files."""
    folder = editor_folder()
    return folder is not None and path in files_in(folder)
