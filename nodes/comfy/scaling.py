"""Pictures made larger or smaller, by ComfyUI's names for the ways to do so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from limner.engine.errors import Fault, GraphError, InputError
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image

if TYPE_CHECKING:
    from collections.abc import Callable

Method = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
_FILTERS: Final[Mapping[Method, str]] = {
    "nearest-exact": "NEAREST",
    "bilinear": "BILINEAR",
    "area": "BOX",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
}
"""Pillow's names."""
MAX_SIDE: Final = 16384


def scaled(image: Image, size: tuple[int, int], method: Method, box: tuple[int, int, int, int] | None = None) -> Image:
    """Every picture in a size (width, height), of what is in the ``box`` (left, top, right, bottom).

    Raises InputError where a side would get absurdly long, or none would be left.
    """
    import numpy as np
    import PIL.Image

    if message := _fault(size):
        raise InputError(message)
    way = PIL.Image.Resampling[_FILTERS[method]]
    pictures = (PIL.Image.fromarray(pixels) for pixels in image.pixels)
    return Image(np.stack([np.asarray((one if box is None else one.crop(box)).resize(size, way)) for one in pictures]))


def known_scaled(pictures: Any, size_of: Callable[[int, int], tuple[int, int]]) -> PictureSizes | None:
    """The new sizes, where the old ones are known. Raises GraphError for one that no picture can have."""
    if not isinstance(pictures, PictureSizes):
        return None
    sizes = tuple(size_of(*size) for size in pictures.sizes)
    if message := next(filter(None, map(_fault, sizes)), None):
        raise GraphError([Fault(message)])
    return PictureSizes(sizes)


def _fault(size: tuple[int, int]) -> str | None:
    if min(size) >= 1 and max(size) <= MAX_SIDE:
        return None
    return f"the picture would become {size[0]}x{size[1]}; a side has 1 to {MAX_SIDE} pixels"
