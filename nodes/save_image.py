"""Pictures as files that say how they were made."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.node import Node
from limner.engine.user_path import user_path
from limner.nodes._new_file import file_faults, numbered, write_under
from limner.nodes.values import Files, Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class SaveImage(Node):
    """Write pictures as PNG, JPEG or WebP. Each file carries the graph that made it, so that it can be made again.

    A batch is numbered: ``image-1.png``, ``image-2.png``, ... No file is lost: where a name is taken, the next free
    number is, and a write that fails leaves the old file.
    """

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("output", "write file")
    advanced: ClassVar[frozenset[str]] = frozenset({"overwrite", "quality", "metadata"})
    effect: ClassVar[bool] = True
    writes_to: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str = Field(
        default="outputs/image.png",
        min_length=1,
        description="Where to write; the ending (.png, .jpg, .jpeg, .webp) is the format. Folders are made.",
    )
    overwrite: bool = Field(
        default=False, description="Replace a file of this name. Otherwise the next free numbered name is taken."
    )
    quality: int = Field(default=95, ge=1, le=100, description="Of JPEG and WebP: more is better and larger.")
    metadata: Literal["full", "none"] = Field(
        default="full",
        description="full: the file says how it was made (graph, settings, versions, models, device). none: nothing.",
    )

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """A format that cannot be written, or a folder in the place of the file."""
        yield from (("path", fault) for fault in file_faults(self.path, SUFFIXES))

    def run(self, ctx: Context, images: Image) -> Files:
        """Write every picture of the batch. Raises InputError where the disk does not take it."""
        from limner.nodes.provenance import encode_picture

        path, total = user_path(self.path), len(images.pixels)
        written: list[str] = []
        for number, pixels in enumerate(images.pixels, start=1):
            story = replace(ctx.provenance, number=number) if self.metadata == "full" else None
            content, is_told = encode_picture(pixels, path.suffix.lower(), self.quality, story)
            if not is_told:
                ctx.warn(f"{self.path}: the graph is too large to be carried by a picture and was left out")
            written.append(str(self._write(content, self._names(path, None if total == 1 else number))))
            ctx.progress(number, total)
        return Files(tuple(written))

    def _names(self, path: Path, number: int | None) -> Iterator[Path]:
        return numbered(path, number)

    def _write(self, content: bytes, names: Iterator[Path]) -> Path:
        try:
            return write_under(names, content, overwrite=self.overwrite)
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror or error}") from error
