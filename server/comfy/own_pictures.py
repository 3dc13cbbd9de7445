"""The pictures that a client brought, by the names that it gave them. What they hold is kept by content."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Final

from limner.comfy.classes import Classes
from limner.engine.document import Document, NodeDocument
from limner.engine.write import write_atomically
from limner.server.comfy.own_files import check_name
from limner.server.uploads import Upload, Uploads

MAX_NAMES: Final = 5_000
"""More push out the oldest; the pictures stay for as long as others."""
_ANNOTATION: Final = re.compile(r" \[(input|output|temp)\]$")
_changing: Final = Lock()  # a file is read, changed and written: one at a time


@dataclass
class OwnPictures:
    """A list of one client, as it was when it was first looked at. Methods block."""

    path: Path
    uploads: Uploads

    def put(self, name: str, taken: Upload, *, overwrite: bool) -> str:
        """Give a picture a name, or one near to it where it is another's. Raises Refused."""
        check_name(name)
        with _changing:
            known = self._read()
            chosen = name if overwrite else _free(name, taken.file, known)
            known.pop(chosen, None)
            known[chosen] = taken.file
            kept = dict(list(known.items())[-MAX_NAMES:])
            write_atomically(self.path, json.dumps(kept).encode())
        self.__dict__.pop("_known", None)
        return chosen

    def names(self) -> list[str]:
        """Those that are still here, in order."""
        return sorted(name for name, file in self._known.items() if self.uploads.path(file).is_file())

    def place(self, name: str) -> str:
        """What a graph calls the picture that the client calls so; the name itself where it brought none."""
        return self._known.get(plain_name(name), name)

    def called(self, file: str) -> str:
        """What the client called last what a graph calls so: ``place`` the other way round."""
        return next((name for name in reversed(self._known) if self._known[name] == file), file)

    def find(self, name: str) -> Path | None:
        """The file of a picture, by the client's name or by what a graph calls it."""
        path = self.uploads.path(self.place(name))
        return path if path.is_file() else None

    @cached_property
    def _known(self) -> dict[str, str]:
        return self._read()

    def _read(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        return found


def with_names(document: Document, classes: Classes, pictures: OwnPictures) -> Document:
    """The document with the names that a client gave its pictures: an editor misses those that it cannot choose."""
    nodes = {name: _with_names(node, classes, pictures) for name, node in document.nodes.items()}
    return document.model_copy(update={"nodes": nodes})


def _with_names(node: NodeDocument, classes: Classes, pictures: OwnPictures) -> NodeDocument:
    def called(value: Any) -> Any:
        if isinstance(value, list):
            return [called(one) for one in value]
        return pictures.called(value) if isinstance(value, str) else value

    found = classes.of_type(node.type)
    names = frozenset() if found is None else found.pictures
    settings = {name: called(value) if name in names else value for name, value in node.settings.items()}
    return node.model_copy(update={"settings": settings})


def plain_name(name: str) -> str:
    """A name without the folder that clients write behind it: ``photo.png [input]``."""
    return _ANNOTATION.sub("", name)


def _free(name: str, file: str, known: dict[str, str]) -> str:
    path, chosen, number = PurePosixPath(name), name, 1
    while known.get(chosen, file) != file:
        chosen, number = path.with_name(f"{path.stem} ({number}){path.suffix}").as_posix(), number + 1
    return chosen
