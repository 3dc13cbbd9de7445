"""Pictures that clients bring: known by their content, taken only if they are pictures, forgotten after a while."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Final

from limner.engine.write import write_atomically
from limner.server.jobs.clock import Clock
from limner.server.problem import Refused

FOLDER: Final = "uploads"
KEPT_S: Final = 30 * 86400.0
"""How long a picture is kept after it was brought last."""
_NAME: Final = re.compile(FOLDER + r"/[0-9a-f]{64}\.(png|jpg|webp)")
_SUFFIXES: Final = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that is here. ``file`` is what a graph calls it."""

    file: str
    sha256: str
    size_bytes: int
    width: int
    height: int


class Uploads:
    """The folder ``uploads`` below the server's. Methods block. Their names say nothing of where it is."""

    def __init__(self, folder: Path, limit_bytes: int, clock: Clock = time.time) -> None:
        self._folder = folder / FOLDER
        self._limit_bytes = limit_bytes
        self._clock = clock

    def put(self, content: bytes) -> Upload:
        """Keep a picture. Raises InputError for what is none that can be read, Refused where there is no room."""
        kind, width, height = _look_at(content)
        digest = sha256(content).hexdigest()
        path = self._folder / f"{digest}{_SUFFIXES[kind]}"
        if not path.is_file():
            self._make_room(len(content))
            write_atomically(path, content)
        os.utime(path, (self._clock(), self._clock()))
        return Upload(f"{FOLDER}/{path.name}", digest, len(content), width, height)

    def path(self, file: str) -> Path:
        """Where the picture is that a graph calls so; of another name, where there is nothing."""
        return self._folder / (file.removeprefix(f"{FOLDER}/") if _NAME.fullmatch(file) else "none")

    def sweep(self) -> None:
        """Forget what nobody brought for long."""
        for path in self._files():
            if path.stat().st_mtime < self._clock() - KEPT_S:
                path.unlink(missing_ok=True)

    def _make_room(self, size_bytes: int) -> None:
        self.sweep()
        if sum(path.stat().st_size for path in self._files()) + size_bytes > self._limit_bytes:
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, "there is no room for more uploads")

    def _files(self) -> Iterator[Path]:
        return (path for path in self._folder.glob("*") if path.is_file())


def _look_at(content: bytes) -> tuple[str, int, int]:
    """Kind, width and height of a picture. Raises InputError."""
    from limner.nodes._picture_header import opened, picture_size

    width, height = picture_size(BytesIO(content), "the upload")
    with opened(BytesIO(content), "the upload") as image:
        kind = str(image.format)
        image.verify()  # the checksums of a PNG; nothing is decoded
    return kind, width, height
