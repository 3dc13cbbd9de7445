"""The files that a client keeps here, such as its workflows: in one folder, out of which no name leads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Final

from limner.engine.write import write_atomically
from limner.server.body import MAX_JSON_BYTES
from limner.server.problem import Refused

MAX_FILE_BYTES: Final = MAX_JSON_BYTES
MAX_FILES: Final = 5_000
MAX_BYTES: Final = 512 << 20
MAX_NAME: Final = 400
_MAX_PART_BYTES: Final = 200
_UNFINISHED: Final = ".part"
_changing: Final = Lock()  # room is counted, and folders come and go: one at a time


@dataclass(frozen=True)
class OwnFiles:
    """A folder of one client. Methods block, and raise Refused."""

    folder: Path

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return self._path(name).is_file()

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return self._existing(name).read_bytes()

    def write(self, name: str, content: bytes, *, overwrite: bool) -> None:
        """Keep a file, whole or not at all."""
        with _changing:
            path = self._free(name, overwrite=overwrite)
            self._check_room(len(content), is_new=not path.exists())
            try:
                write_atomically(path, content)
            except (FileExistsError, NotADirectoryError):
                raise Refused(HTTPStatus.CONFLICT, f"{name} is below what is no folder") from None

    def delete(self, name: str) -> None:
        """Forget a file, and folders that it was alone in."""
        with _changing:
            path = self._existing(name)
            path.unlink(missing_ok=True)
            self._tidy(path.parent)

    def move(self, name: str, to: str, *, overwrite: bool) -> None:
        """Give a file another name. Folders come with their first file, and go with their last."""
        with _changing:
            source, target = self._existing(name), self._free(to, overwrite=overwrite)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            except (FileExistsError, NotADirectoryError):
                raise Refused(HTTPStatus.CONFLICT, f"{to} is below what is no folder") from None
            self._tidy(source.parent)

    def names(self, folder: str, *, deep: bool) -> list[str]:
        """The files in a folder, by their names below it; with ``deep`` also those in folders in it."""
        place = self._folder(folder)
        if not place.is_dir():
            return []
        found = (path for path in (place.rglob("*") if deep else place.glob("*")) if _is_kept(path))
        return sorted(path.relative_to(place).as_posix() for path in found)

    def entries(self, folder: str) -> list[dict[str, Any]]:
        """Files and folders in a folder, by their names from the client's folder on."""
        found = sorted(self._folder(folder).glob("*"))
        return [self._entry(path) for path in found if path.is_dir() or _is_kept(path)]

    def about(self, name: str) -> dict[str, Any]:
        """Path, size and times of a file."""
        return self._about(self._existing(name), name)

    def _entry(self, path: Path) -> dict[str, Any]:
        name = path.relative_to(self._root()).as_posix()
        if path.is_dir():
            return {"name": path.name, "path": name, "type": "directory"}
        return {"name": path.name, "type": "file"} | self._about(path, name)

    def _about(self, path: Path, name: str) -> dict[str, Any]:
        found = path.stat()
        times = {"modified": int(found.st_mtime * 1000), "created": int(found.st_ctime * 1000)}
        return {"path": name, "size": found.st_size} | times

    def _folder(self, name: str) -> Path:
        """Where a folder of this name is, or would be: it comes with its first file."""
        return self._path(name.rstrip("/")) if name.strip("/") else self._root()

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no file {name}")
        return path

    def _free(self, name: str, *, overwrite: bool) -> Path:
        """Where a file may be put."""
        path = self._path(name)
        if path.is_dir():
            raise Refused(HTTPStatus.CONFLICT, f"{name} is a folder")
        if path.exists() and not overwrite:
            raise Refused(HTTPStatus.CONFLICT, f"there is a file {name} already")
        return path

    def _tidy(self, folder: Path) -> None:
        """Forget folders that hold nothing any more, from this one upwards."""
        root = self._root()
        with suppress(OSError):  # something is in it
            while folder != root:
                folder.rmdir()
                folder = folder.parent

    def _path(self, name: str) -> Path:
        """Where a file of this name is, or would be; by its real place, so that no link leads out."""
        check_name(name)
        root = self._root()
        path = Path(os.path.realpath(root / name))
        if not path.is_relative_to(root):
            raise Refused(HTTPStatus.FORBIDDEN, "the file is outside your folder")
        return path

    def _root(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(os.path.realpath(self.folder))

    def _check_room(self, size_bytes: int, *, is_new: bool) -> None:
        sizes = [path.stat().st_size for path in _files(self._root())]
        if len(sizes) + is_new > MAX_FILES or sum(sizes) + size_bytes > MAX_BYTES:
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, "there is no room for more of your files")


def check_name(name: str) -> None:
    """Refuse what is no name below a folder: also what only another system would take for a way out."""
    parts = name.split("/")
    if not name or len(name) > MAX_NAME or any(len(part.encode()) > _MAX_PART_BYTES for part in parts):
        raise Refused(HTTPStatus.BAD_REQUEST, "a file has a name, and not a very long one")
    if any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise Refused(HTTPStatus.FORBIDDEN, "a file is named from your folder on, without a way out of it")
    if "\\" in name or not name.isprintable() or any(part.endswith(_UNFINISHED) for part in parts):
        raise Refused(HTTPStatus.BAD_REQUEST, "the name of the file has characters that are not possible here")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if _is_kept(path))


def _is_kept(path: Path) -> bool:
    return path.suffix != _UNFINISHED and path.is_file() and not path.is_symlink()
