"""Reading the pictures that users bring: what can be read, what is refused, and in which words."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageOps

from limner.engine.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 80_000_000
"""Larger pictures are refused before they are decoded: a small file can claim any size."""
MIN_SIDE, MAX_ASPECT = 64, 8
"""What FLUX.2 takes as a reference; the same limits as diffusers' ``check_image_input``."""

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag for how a camera was held, and those of its values that swap width and height."""
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow raises on broken files."""


def read_picture(content: bytes, name: str) -> NDArray[np.uint8]:
    """A user's file as RGB uint8 (H, W, 3). Raises InputError that names it."""
    try:
        with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(name)
            check_reference(width, height, name)
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{name} is no picture that can be read", hint="use PNG, JPEG or WebP") from error
    except _BROKEN as error:
        raise InputError(f"{name} is damaged: {error}", hint="save or download it again") from error


def picture_size(content: bytes, name: str) -> tuple[int, int]:
    """Width and height of a user's file as ``read_picture`` gives it, from its header. Raises InputError."""
    try:
        with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            is_turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{name} is no picture that can be read", hint="use PNG, JPEG or WebP") from error
    except _BROKEN as error:
        raise InputError(f"{name} is damaged: {error}", hint="save or download it again") from error
    return (height, width) if is_turned else (width, height)


def check_reference(width: int, height: int, name: str) -> None:
    """Refuse what FLUX.2 cannot refer to. Raises InputError that names the picture."""
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{name} is {width}x{height}; a reference has at least {MIN_SIDE} pixels a side",
            hint="use a larger picture",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InputError(
            f"{name} is {width}x{height}; a reference is at most {MAX_ASPECT} times as long as wide", hint="crop it"
        )


def _too_large(name: str) -> InputError:
    return InputError(f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels", hint="scale it down")


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Transparent parts on white, 16 bits to 8; for other pictures the same as diffusers' ``load_image``."""
    if image.mode.startswith("I"):
        image = PIL.Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
