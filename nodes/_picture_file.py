"""Reading the pictures that users bring: how they come to be RGB, or a mask."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageOps

from limner.engine.errors import InputError
from limner.nodes._picture_header import opened

MaskChannel = Literal["auto", "grey", "alpha"]


def read_picture(content: bytes, name: str) -> NDArray[np.uint8]:
    """A user's file as RGB uint8 (H, W, 3), turned as its EXIF says. Raises InputError that names it."""
    with opened(io.BytesIO(content), name) as image:
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))


def read_mask(content: bytes, name: str, channel: MaskChannel) -> NDArray[np.uint8]:
    """A user's file as greys, uint8 (H, W): of its brightness, or of how transparent it is. Raises InputError.

    ``auto`` takes transparency where there is any.
    """
    with opened(io.BytesIO(content), name) as image:
        turned = ImageOps.exif_transpose(image)
        alpha = np.array(turned.convert("RGBA").getchannel("A")) if turned.has_transparency_data else None
        has_holes = alpha is not None and bool((alpha < 255).any())
        if channel == "alpha" and alpha is None:
            raise InputError(f"{name} has no alpha channel", hint="set channel to grey")
        if alpha is not None and (channel == "alpha" or (channel == "auto" and has_holes)):
            return 255 - alpha
        return np.array(_to_eight_bits(turned).convert("L"))


def read_transparency(content: bytes, name: str) -> NDArray[np.uint8]:
    """How transparent a user's file is, uint8 (H, W): nowhere, where it has no alpha channel. Raises InputError."""
    with opened(io.BytesIO(content), name) as image:
        turned = ImageOps.exif_transpose(image)
        if not turned.has_transparency_data:
            return np.zeros((turned.height, turned.width), dtype=np.uint8)
        return 255 - np.array(turned.convert("RGBA").getchannel("A"))


def _to_eight_bits(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode.startswith("I"):
        return PIL.Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    return image


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Transparent parts on white, 16 bits to 8; for other pictures the same as diffusers' ``load_image``."""
    image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
