"""What a picture's header tells, before anything of it is decoded: kind, size, and whether it can be a reference."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import PIL.Image

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


@contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[PIL.Image.Image]:
    """A user's file as a picture that is not decoded yet. Raises InputError that names it, also for the block."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # our limit is lower, and no warning
            image = PIL.Image.open(file, formats=FORMATS)
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(name)
            yield image
    except PIL.Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{name} is no picture that can be read", hint="use PNG, JPEG or WebP") from error
    except _BROKEN as error:
        raise InputError(f"{name} is damaged{why_broken(error)}", hint="save or download it again") from error


def picture_size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height of a picture as ``read_picture`` gives it. Raises InputError."""
    with opened(file, name) as image:
        width, height = image.size
        exif = PIL.Image.Image.getexif(image)  # a PNG's own would decode the whole picture
        return (height, width) if exif.get(_ORIENTATION, 1) in _TURNED else (width, height)


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


def why_broken(error: Exception) -> str:
    """What of Pillow's error can be said to people: its own words are about its code."""
    if isinstance(error, OSError) and error.strerror:
        return f": {error.strerror}"
    return ": it breaks off" if isinstance(error, EOFError) or "truncated" in str(error).lower() else ""


def _too_large(name: str) -> InputError:
    return InputError(f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels", hint="scale it down")
