"""Batches of pictures as one PNG, for the cache."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile, PngInfo

_BATCH_KEY = "limner-batch"
_END = b"IEND\xaeB`\x82"
_DEFLATE_RATIO = 1032
"""No byte of deflate holds more bytes than this (zlib's technical details), so a PNG's claims can be checked."""
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow raises on broken files."""


def batch_to_png(pixels: NDArray[np.uint8]) -> bytes:
    """(N, H, W, 3), or (N, H, W) in greys, as one PNG, the pictures below each other; quick rather than small."""
    count, height, width, *channels = pixels.shape
    info = PngInfo()
    info.add_text(_BATCH_KEY, str(count))
    buffer = io.BytesIO()
    tall = PIL.Image.fromarray(pixels.reshape(count * height, width, *channels))
    tall.save(buffer, "PNG", pnginfo=info, compress_level=1)
    return buffer.getvalue()


def batch_from_png(content: bytes, mode: Literal["RGB", "L"] = "RGB") -> NDArray[np.uint8]:
    """Read what ``batch_to_png`` wrote, in colors or in greys (``L``). Raises ValueError.

    Pillow's own limit of size does not fit batches, so the file is opened by its class, and its claimed size is
    checked against what its bytes can hold.
    """
    if not content.endswith(_END):
        raise ValueError("a stored picture without its end")
    try:
        with PngImageFile(io.BytesIO(content)) as image:
            width, tall = image.size
            if image.mode != mode or width * tall * len(mode) > len(content) * _DEFLATE_RATIO:
                raise ValueError(f"a stored picture of mode {image.mode} and size {image.size}")
            count = int(str(image.text.get(_BATCH_KEY, "")))
            if not 1 <= count <= tall or tall % count:
                raise ValueError(f"a stored batch of {count} pictures in {tall} rows")
            pixels = np.array(image)
            return pixels.reshape(count, tall // count, *pixels.shape[1:])
    except _BROKEN as error:
        raise ValueError(f"a broken stored picture: {error}") from error
