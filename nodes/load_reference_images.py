"""Reading the pictures that a prompt refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, Strict

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.engine.user_path import user_path
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import MAX_REFERENCES, Image, References

Paths = Annotated[tuple[str, ...], Strict(False)]  # JSON and scripts give lists


class LoadReferenceImages(Node):
    """Read 1 to 10 reference pictures, in order: "image 1" in a prompt is the first.

    PNG, JPEG and WebP are read, told apart by their content. They are turned as their EXIF says, and transparent
    parts become white. Pictures from other nodes follow those from files.
    """

    category: ClassVar[str] = "image"

    files: Paths = Field(
        default=(),
        max_length=MAX_REFERENCES,
        description="Paths of pictures, in order. May be left out where pictures are wired in.",
    )

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """Files that are not there, or no picture at all."""
        if not self.files and "images" not in wired:
            yield "files", "at least one picture is required"
        for name in self.files:
            try:
                path = user_path(name)
            except InputError as error:
                yield "files", error.message
                continue
            if not path.exists():
                yield "files", f"there is no file {name}"
            elif not path.is_file():
                yield "files", f"{name} is not a file"
            elif not _looks_like_picture(path):
                yield "files", f"{name} is no PNG, JPEG or WebP"

    def fingerprint(self) -> str:
        """The SHA-256 of every file. Raises InputError."""
        return " ".join(hashlib.sha256(_read(name)).hexdigest() for name in self.files)

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The sizes of all pictures, from the headers of files. Raises InputError."""
        from limner.nodes._picture_file import picture_size

        wired = inputs.get("images") or []
        if not all(isinstance(pictures, PictureSizes) for pictures in wired):
            return Forecast()
        sizes = [picture_size(_read(name), name) for name in self.files]
        sizes += [size for pictures in wired for size in pictures.sizes]
        return Forecast((PictureSizes(tuple(sizes)),)) if sizes else Forecast()

    def run(self, ctx: Context, images: list[Image] | None = None) -> References:
        """Read the files, then take the wired pictures. Raises InputError that names the file."""
        from limner.nodes._picture_file import check_reference, read_picture

        pictures = [read_picture(_read(name), name) for name in self.files]
        for number, batch in enumerate(images or (), start=1):
            for pixels in batch.pixels:
                check_reference(pixels.shape[1], pixels.shape[0], f"picture {number} of the wire images")
                pictures.append(pixels)
        if not 1 <= len(pictures) <= MAX_REFERENCES:
            raise InputError(
                f"there are {len(pictures)} reference pictures; 1 to {MAX_REFERENCES} are possible",
                hint="name files, or wire pictures to images" if not pictures else None,
            )
        return References(tuple(pictures))


def _looks_like_picture(path: Path) -> bool:
    """Whether a file begins as one of the formats that are read; whether it is whole shows when it is."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return True  # reading it will say why not
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (start[:4], start[8:]) == (b"RIFF", b"WEBP")


def _read(name: str) -> bytes:
    try:
        return user_path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
