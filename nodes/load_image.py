"""Reading one picture to work on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes._user_pictures import A_PICTURE, content_of, fault_of, size_of
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image


class LoadImage(Node):
    """Read a picture: PNG, JPEG or WebP, told apart by its content.

    It is turned as its EXIF says, and transparent parts become white.
    """

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("open picture", "upload")

    file: str = Field(default="", description="The path of a picture.", json_schema_extra=A_PICTURE)

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A file that is not there, or no picture by its header."""
        if not self.file:
            yield "file", "the path of a picture is required"
        elif fault := fault_of(self.file):
            yield "file", fault

    def fingerprint(self) -> str:
        """The SHA-256 of the file. Raises InputError."""
        return hashlib.sha256(content_of(self.file)).hexdigest()

    def sources(self) -> Mapping[str, str]:
        """The file with its SHA-256. Raises InputError."""
        return {self.file: f"sha256:{self.fingerprint()}"}

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The picture's size, from its header. Raises InputError."""
        return Forecast((PictureSizes((size_of(self.file),)),))

    def run(self, ctx: Context) -> Image:
        """Read the file. Raises InputError that names it."""
        from limner.nodes._picture_file import read_picture

        return Image(read_picture(content_of(self.file), self.file)[None])
