"""Graphs by name: the templates that come with Limner, and files next to the graph that asks for them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from limner.engine.errors import InputError, suggest
from limner.engine.graph import read_file
from limner.engine.user_path import user_path


class GraphLibrary:
    """Finds a graph by a template's name, or by a path to a ``.json`` file.

    Paths are taken from ``folder``: the folder of the graph that refers to them.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path()
        self._templates = Path(str(files("limner.graphs")))

    def names(self) -> list[str]:
        """The templates' names, sorted."""
        return sorted(path.stem for path in self._templates.glob("*.json"))

    def load(self, name: str) -> Any:
        """The parsed JSON of a graph. Raises InputError where there is none, GraphError where it is not JSON."""
        return read_file(self.path(name))

    def path(self, name: str) -> Path:
        """The file of a graph. Raises InputError that names the nearest template."""
        if name.endswith(".json") or "/" in name or "\\" in name:
            return self._file(name)
        if name in self.names():
            return self._templates / f"{name}.json"
        if name and (file := self._file(name)).is_file():
            return file
        what = (
            f"{name} is a folder"
            if name and self._file(name).is_dir()
            else f"there is no template {name!r} and no such file"
        )
        raise InputError(what, hint=suggest(name, self.names()))

    def beside(self, name: str) -> GraphLibrary:
        """The library as the graph ``name`` sees it: paths begin at its folder."""
        return GraphLibrary(self.path(name).parent)

    def _file(self, name: str) -> Path:
        return user_path(name if name.startswith("~") else str(self.folder / name)).resolve()
