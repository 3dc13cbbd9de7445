"""Reading the pictures that a prompt refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, Strict

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes._user_pictures import A_PICTURE, content_of, fault_of, named_files, said, size_of
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import MAX_REFERENCES, Image, References

Paths = Annotated[tuple[str, ...], Strict(False)]  # JSON and scripts give lists


class LoadReferenceImages(Node):
    """Read 1 to 10 reference pictures, in order: "image 1" in a prompt is the first.

    First come the files, in the order in which they are named, those of a pattern in natural order (``shot2`` before
    ``shot10``); then the pictures from other nodes, in the order of the wires. PNG, JPEG and WebP are read, told apart
    by their content. They are turned as their EXIF says, and transparent parts become white.
    """

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("reference", "ImageBatch", "image stitch")

    files: Paths = Field(
        default=(),
        description="Paths of pictures, in order, or patterns such as shots/*.png. May be left out where pictures are "
        "wired in.",
        json_schema_extra=A_PICTURE,
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """Files that are not there or cannot be references by their headers, and more pictures than are possible."""
        wires = wired.get("images", 0)
        if not self.files and not wires:
            yield "files", "at least one picture is required"
        names: list[str] = []
        for name in self.files:
            try:
                names += named_files(name)
            except InputError as error:
                yield "files", said(error)
        for name in names[:MAX_REFERENCES]:
            if fault := fault_of(name, _reference_size):
                yield "files", fault
        if len(names) > MAX_REFERENCES:
            yield "files", f"{names[MAX_REFERENCES]} is picture {MAX_REFERENCES + 1} of {len(names)}; {_LIMIT}"
        elif len(names) + wires > MAX_REFERENCES:
            yield "files", f"{len(names)} pictures, and {wires} or more by wires to images; {_LIMIT}"

    def fingerprint(self) -> str:
        """The SHA-256 of every file, also of those that patterns match. Raises InputError."""
        return " ".join(hashlib.sha256(content_of(name)).hexdigest() for name in self._names())

    def sources(self) -> Mapping[str, str]:
        """The files, each with its SHA-256. Raises InputError."""
        return {name: f"sha256:{hashlib.sha256(content_of(name)).hexdigest()}" for name in self._names()}

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The sizes of all pictures, from the headers of files. Raises InputError."""
        wired = inputs.get("images") or []
        if not all(isinstance(pictures, PictureSizes) for pictures in wired):
            return Forecast()
        sizes = [_reference_size(name) for name in self._names()]
        sizes += [size for pictures in wired for size in pictures.sizes]
        return Forecast((PictureSizes(tuple(sizes)),)) if sizes else Forecast()

    def run(self, ctx: Context, images: list[Image] | None = None) -> References:
        """Read the files, then take the wired pictures. Raises InputError that names the file."""
        from limner.nodes._picture_file import read_picture
        from limner.nodes._picture_header import check_reference

        named = [(name, read_picture(content_of(name), name)) for name in self._names()]
        for number, batch in enumerate(images or (), start=1):
            named += [(f"picture {number} of the wire images", pixels) for pixels in batch.pixels]
        if not 1 <= len(named) <= MAX_REFERENCES:
            raise InputError(
                f"there are {len(named)} reference pictures; 1 to {MAX_REFERENCES} are possible",
                hint="name files, or wire pictures to images" if not named else None,
            )
        for name, pixels in named:
            check_reference(pixels.shape[1], pixels.shape[0], name)
        return References(tuple(pixels for _, pixels in named))

    def _names(self) -> list[str]:
        """All files in order, but no more than show that there are too many: a pattern can match a whole archive."""
        names = [name for given in self.files for name in named_files(given)]
        return names[: MAX_REFERENCES + 1]


_LIMIT = f"a prompt can refer to {MAX_REFERENCES}"


def _reference_size(name: str) -> tuple[int, int]:
    """Width and height of a file that can be a reference, from its header. Raises InputError."""
    from limner.nodes._picture_header import check_reference

    width, height = size_of(name)
    check_reference(width, height, name)
    return width, height
