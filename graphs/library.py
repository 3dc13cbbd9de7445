"""Graphs by name: the templates that come with Limner, the user's own, and files next to the graph that asks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from limner.engine.errors import InputError, suggest
from limner.engine.graph import read_file
from limner.engine.user_path import user_path
from limner.folders import graphs_folder

log = logging.getLogger(__name__)

FIRST: Final = (
    "text_to_image",
    "edit_with_references",
    "inpaint",
    "lora",
    "lora_stack",
    "product_shot",
    "product_shot_variant",
    "quantization_compare",
    "klein_4b",
    "klein_9b",
    "klein_base_cfg",
)
"""What to begin with: what runs anywhere as it is, then by what it needs. All others come after, by name."""


@dataclass(frozen=True, slots=True)
class Template:
    """A graph that has a name."""

    name: str
    path: Path
    is_own: bool = False
    """Whether it is the user's; the others come with Limner."""
    hides_builtin: bool = False
    """Whether one of those has the same name."""

    @property
    def rank(self) -> tuple[int, str]:
        """Where it stands among others that are shown to choose from."""
        return FIRST.index(self.name) if self.name in FIRST else len(FIRST), self.name

    @property
    def picture(self) -> bytes | None:
        """What it draws, small, as WebP; None of the user's own. ``docs/images/thumbnails.py`` makes them."""
        path = self.path.parent / "pictures" / f"{self.name}.webp"
        return path.read_bytes() if not self.is_own and path.is_file() else None


class GraphLibrary:
    """Finds a graph by a template's name, or by a path to a ``.json`` file.

    ``own`` is the folder of the user's templates, which win over built-in ones of the same name. Paths are taken from
    ``folder``: the folder of the graph that refers to them.
    """

    def __init__(self, folder: Path | None = None, *, own: Path | None = None) -> None:
        self.folder = folder or Path()
        self.own = graphs_folder() if own is None else own
        self._builtin = Path(str(files("limner.graphs")))

    def names(self) -> list[str]:
        """The templates' names, sorted."""
        return sorted(self._templates())

    def templates(self) -> list[Template]:
        """The templates, sorted by name. Whether they are sound graphs is not looked at."""
        return [template for _, template in sorted(self._templates().items())]

    def load(self, name: str) -> Any:
        """The parsed JSON of a graph. Raises InputError where there is none, GraphError where it is not JSON."""
        return read_file(self.path(name))

    def path(self, name: str) -> Path:
        """The file of a graph. Raises InputError that names the nearest template."""
        if name.endswith(".json") or "/" in name or "\\" in name:
            return self._file(name)
        templates = self._templates()
        if (template := templates.get(name)) is not None:
            if template.hides_builtin:
                _say_hidden(template)
            return template.path
        if name and (file := self._file(name)).is_file():
            return file
        what = (
            f"{name} is a folder"
            if name and self._file(name).is_dir()
            else f"there is no template {name!r} and no such file"
        )
        raise InputError(what, hint=suggest(name, templates))

    def beside(self, name: str) -> GraphLibrary:
        """The library as the graph ``name`` sees it: paths begin at its folder."""
        return GraphLibrary(self.path(name).parent, own=self.own)

    def _templates(self) -> Mapping[str, Template]:
        builtin = {path.stem: Template(path.stem, path) for path in _graph_files(self._builtin)}
        own = {
            path.stem: Template(path.stem, path.resolve(), is_own=True, hides_builtin=path.stem in builtin)
            for path in _graph_files(self.own)
        }
        return builtin | own

    def _file(self, name: str) -> Path:
        return user_path(name if name.startswith("~") else str(self.folder / name)).resolve()


def _graph_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.json") if path.is_file() and not path.name.startswith(".")]


@lru_cache(maxsize=256)
def _say_hidden(template: Template) -> None:
    """Once a process, however often the graph is looked for."""
    log.warning("%s is your own template, %s; it hides the built-in one", template.name, template.path)
