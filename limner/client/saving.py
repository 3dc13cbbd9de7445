"""Files of a job on this machine's disk: whole or not at all, under names that nobody has taken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from limner.client.answers import File
from limner.client.download import download
from limner.client.http import Http
from limner.engine.errors import InputError
from limner.nodes._new_file import take_name

Place = tuple[File, Iterator[Path], bool]
"""A file, the names to try for it in order, and whether the first may be replaced."""


async def save_files(http: Http, places: Iterable[Place]) -> list[Path]:
    """Fetch and write files, one after the other. Gives where they are. Raises InputError, RemoteError."""
    return [await _save(http, *place) for place in places]


async def _save(http: Http, file: File, names: Iterator[Path], overwrite: bool) -> Path:
    first = next(names)
    part = first.with_name(f".{uuid4().hex}.part")
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w+b") as to:
                await download(http, file, to)
            return await asyncio.to_thread(take_name, part, _again(first, names), overwrite=overwrite)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{first} cannot be written: {error.strerror or error}") from error


def _again(first: Path, others: Iterator[Path]) -> Iterator[Path]:
    yield first
    yield from others
