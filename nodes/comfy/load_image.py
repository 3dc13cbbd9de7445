"""ComfyUI's LoadImage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes._user_pictures import A_PICTURE, content_of
from limner.nodes.load_image import LoadImage
from limner.nodes.values import Image, Mask


class Loaded(NamedTuple):
    """A picture, and what of it is transparent."""

    image: Image
    mask: Mask


class ComfyLoadImage(Node):
    """Read a picture, as LoadImage does, and as a mask what of it is transparent.

    What is transparent becomes white in the picture; ComfyUI keeps the colours that lie below. Without transparency the
    mask is empty and of the picture's size; there it is 64x64.
    """

    category: ClassVar[str] = "comfyui"

    image: str = Field(default="", description="The path of a picture.", json_schema_extra=A_PICTURE)

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A file that is not there, or no picture by its header."""
        return (("image", message) for _, message in self._native.problems())

    def fingerprint(self) -> str:
        """The SHA-256 of the file. Raises InputError."""
        return self._native.fingerprint()

    def sources(self) -> Mapping[str, str]:
        """The file with its SHA-256. Raises InputError."""
        return self._native.sources()

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The picture's size, from its header. Raises InputError."""
        return self._native.forecast(device, inputs)

    def run(self, ctx: Context) -> Loaded:
        """Read the file. Raises InputError that names it."""
        from limner.nodes._picture_file import read_transparency

        return Loaded(self._native.run(ctx), Mask(read_transparency(content_of(self.image), self.image)))

    @property
    def _native(self) -> LoadImage:
        return LoadImage(file=self.image)
