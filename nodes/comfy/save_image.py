"""ComfyUI's SaveImage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import NO_WIRES, Node
from limner.nodes.save_image import SaveImage
from limner.nodes.values import Files, Image

FOLDER = "outputs"


class ComfySaveImage(Node):
    """Write pictures as PNG into ``outputs``, numbered as in ComfyUI: ``ComfyUI_00001_.png``.

    Each file carries Limner's graph that made it, and no workflow of ComfyUI's.
    """

    category: ClassVar[str] = "comfyui"
    effect: ClassVar[bool] = True
    writes_to: ClassVar[frozenset[str]] = frozenset({"filename_prefix"})

    filename_prefix: str = Field(
        default="ComfyUI", min_length=1, description="What file names begin with; a folder may stand before it."
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A prefix that no file name can begin with."""
        return (("filename_prefix", message) for _, message in self._native.problems())

    def run(self, ctx: Context, images: Image) -> Files:
        """Write every picture of the batch. Raises InputError where the disk does not take it."""
        return self._native.run(ctx, images)

    @property
    def _native(self) -> SaveImage:
        return _Numbered(path=str(Path(FOLDER) / f"{self.filename_prefix}_.png"))


class _Numbered(SaveImage):
    """The same, with a number in every name."""

    def _names(self, path: Path, number: int | None) -> Iterator[Path]:
        return (path.with_name(f"{path.stem}{following:05}_{path.suffix}") for following in count(1))
