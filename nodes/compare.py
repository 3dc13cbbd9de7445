"""Pictures side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Field, Strict

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes._flux2.weigh import weigh
from limner.nodes.values import Image, Table, Transformer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limner.nodes._contact_sheet import Tile
    from limner.nodes.tables import Cell

Texts = Annotated[tuple[str, ...], Strict(False)]  # JSON and scripts give lists


class Comparison(NamedTuple):
    """A contact sheet, and the figures in it as a table."""

    sheet: Image
    table: Table


class Judged(NamedTuple):
    """Mean squared error and SSIM of each picture of a row."""

    errors: list[float]
    likenesses: list[float]


class Compare(Node):
    """Show pictures that were made in several ways side by side, and say how far each is from the first way.

    Each way is a row with a label and as many wires as the other rows: first all pictures of the first label, which
    is the reference, then all of the second, and so on. Pictures in a column must have the same size.

    The figures are PSNR in decibels, of the mean squared error over all pictures of a row, and SSIM (Wang et al.
    2004), the mean over them. More is nearer, and an empty PSNR is no difference at all. With the models that drew the
    rows, the table also has what their weights take on the node's device, as the memory plan counts it. It has no
    times: a picture from the cache took none.
    """

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("contact sheet", "XY plot", "image grid")
    advanced: ClassVar[frozenset[str]] = frozenset({"headings"})
    on_device: ClassVar[bool] = True  # weights take other bytes on other devices

    labels: Texts = Field(min_length=1, description="What each row is called, in the order of the wires.")
    headings: Texts = Field(default=(), description="What stands over each column, such as the prompts; may be empty.")
    width: int = Field(default=256, ge=64, le=2048, description="Of a picture in the sheet, in pixels.")

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """Labels that cannot be told apart, or that do not share the wires evenly."""
        if len(set(self.labels)) < len(self.labels):
            yield "labels", "two rows have the same label"
        count = wired.get("images", 0)
        if count % len(self.labels):
            yield "labels", f"{count} wires lead to images, and {len(self.labels)} labels cannot share them evenly"
        if (models := wired.get("models", len(self.labels))) != len(self.labels):
            yield "labels", f"{models} wires lead to models, and there are {len(self.labels)} labels"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """Nothing that counts beside models."""
        return Forecast()

    def run(self, ctx: Context, images: list[Image], models: list[Transformer] | None = None) -> Comparison:
        """Compare. Raises InputError where rows differ in number or size of pictures, or these are tiny."""
        from limner.nodes._contact_sheet import contact_sheet

        rows = self._rows(images)
        judged = [_judge(row, rows[0]) for row in rows]
        sizes = [weigh(model, ctx.device).weight_bytes for model in models or ()]
        names: Sequence[str] = self.labels
        if sizes:
            names = [f"{label}, {_size(size)}" for label, size in zip(self.labels, sizes, strict=True)]
        tiles = [
            _tiles(name, row, found, is_reference=number == 0)
            for number, (name, row, found) in enumerate(zip(names, rows, judged, strict=True))
        ]
        sheet = contact_sheet(tiles, self.headings, self.width)
        return Comparison(Image(sheet[None]), _table(self.labels, sizes, judged))

    def _rows(self, images: Sequence[Image]) -> list[list[NDArray[np.uint8]]]:
        """The pictures (H, W, 3) of each label, batches taken apart."""
        share = len(images) // len(self.labels)
        rows = [
            [picture for image in images[start : start + share] for picture in image.pixels]
            for start in range(0, len(images), share)
        ]
        sizes = [[(picture.shape[1], picture.shape[0]) for picture in row] for row in rows]
        for label, row in zip(self.labels, sizes, strict=True):
            if row != sizes[0]:
                raise InputError(
                    f"the pictures of {label} are {_sizes(row)}, and those of {self.labels[0]} {_sizes(sizes[0])}",
                    hint="compare pictures of one size, and as many of each",
                )
        if len(self.headings) > len(rows[0]):
            raise InputError(f"there are {len(self.headings)} headings for {len(rows[0])} columns")
        return rows


def _judge(row: Sequence[NDArray[np.uint8]], reference: Sequence[NDArray[np.uint8]]) -> Judged:
    from limner.nodes._likeness import squared_error, ssim

    pairs = list(zip(row, reference, strict=True))
    try:
        return Judged([squared_error(*pair) for pair in pairs], [ssim(*pair) for pair in pairs])
    except ValueError as error:
        raise InputError(str(error)) from error


def _tiles(label: str, row: Sequence[NDArray[np.uint8]], judged: Judged, *, is_reference: bool) -> list[Tile]:
    from limner.nodes._contact_sheet import Tile

    if is_reference:
        return [Tile(picture, label, "the reference") for picture in row]
    return [Tile(picture, label, _note(*found)) for picture, *found in zip(row, *judged, strict=True)]


def _note(error: float, likeness: float) -> str:
    from limner.nodes._likeness import psnr_db

    return f"PSNR {psnr_db(error):.1f} dB, SSIM {likeness:.3f}" if error else "no difference"


def _table(labels: Sequence[str], sizes: Sequence[int], judged: Sequence[Judged]) -> Table:
    from limner.nodes._likeness import psnr_db

    ratios = [psnr_db(fmean(found.errors)) for found in judged]
    columns: dict[str, Sequence[Cell]] = {
        "label": labels,
        **({"weights_bytes": sizes} if sizes else {}),
        "psnr_db": [None if math.isinf(ratio) else ratio for ratio in ratios],
        "ssim": [fmean(found.likenesses) for found in judged],
    }
    return Table(tuple(columns), tuple(zip(*columns.values(), strict=True)))


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.2f} MB"


def _sizes(row: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{width}x{height}" for width, height in row)
