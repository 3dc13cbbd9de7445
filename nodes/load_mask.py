"""Reading a mask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import NO_WIRES, Node
from limner.nodes._user_pictures import A_PICTURE, content_of, fault_of
from limner.nodes.values import Mask


class LoadMask(Node):
    """Read which part of a picture to repaint: white, or what was erased to transparency, is repainted.

    PNG, JPEG or WebP, told apart by their content, and turned as their EXIF says.
    """

    category: ClassVar[str] = "mask"
    aliases: ClassVar[tuple[str, ...]] = ("LoadImageMask", "upload mask")
    advanced: ClassVar[frozenset[str]] = frozenset({"channel"})

    file: str = Field(default="", description="The path of a picture.", json_schema_extra=A_PICTURE)
    channel: Literal["auto", "grey", "alpha"] = Field(
        default="auto",
        description="What of it is the mask: its brightness (grey), or its transparency (alpha). auto: transparency "
        "where there is any.",
    )
    invert: bool = Field(default=False, description="Repaint what would be kept, and keep the rest.")

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A file that is not there, or no picture by its header."""
        if not self.file:
            yield "file", "the path of a mask is required"
        elif fault := fault_of(self.file):
            yield "file", fault

    def fingerprint(self) -> str:
        """The SHA-256 of the file. Raises InputError."""
        return hashlib.sha256(content_of(self.file)).hexdigest()

    def sources(self) -> Mapping[str, str]:
        """The file with its SHA-256. Raises InputError."""
        return {self.file: f"sha256:{self.fingerprint()}"}

    def run(self, ctx: Context) -> Mask:
        """Read the file. Raises InputError that names it."""
        from limner.nodes._picture_file import read_mask

        values = read_mask(content_of(self.file), self.file, self.channel)
        return Mask(255 - values if self.invert else values)
