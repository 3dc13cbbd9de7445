"""Batches of pictures as one PNG, for the cache."""

from __future__ import annotations

import io
import struct
import zlib

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
    """(N, H, W, 3) as one PNG, the pictures below each other; quick rather than small."""
    count, height, width, _ = pixels.shape
    info = PngInfo()
    info.add_text(_BATCH_KEY, str(count))
    buffer = io.BytesIO()
    tall = PIL.Image.fromarray(pixels.reshape(count * height, width, 3))
    tall.save(buffer, "PNG", pnginfo=info, compress_level=1)
    return buffer.getvalue()


def batch_from_png(content: bytes) -> NDArray[np.uint8]:
    """Read what ``batch_to_png`` wrote. Raises ValueError.

    Pillow's own limit of size does not fit batches, so the file is opened by its class, and its claimed size is
    checked against what its bytes can hold.
    """
    if not content.endswith(_END):
        raise ValueError("a stored picture without its end")
    try:
        with PngImageFile(io.BytesIO(content)) as image:
            width, tall = image.size
            if image.mode != "RGB" or width * tall * 3 > len(content) * _DEFLATE_RATIO:
                raise ValueError(f"a stored picture of mode {image.mode} and size {image.size}")
            count = int(str(image.text.get(_BATCH_KEY, "")))
            if not 1 <= count <= tall or tall % count:
                raise ValueError(f"a stored batch of {count} pictures in {tall} rows")
            return np.array(image).reshape(count, tall // count, width, 3)
    except _BROKEN as error:
        raise ValueError(f"a broken stored picture: {error}") from error
