"""Reading the pictures that users bring: how they come to be RGB."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageOps

from limner.nodes._picture_header import opened


def read_picture(content: bytes, name: str) -> NDArray[np.uint8]:
    """A user's file as RGB uint8 (H, W, 3), turned as its EXIF says. Raises InputError that names it."""
    with opened(io.BytesIO(content), name) as image:
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Transparent parts on white, 16 bits to 8; for other pictures the same as diffusers' ``load_image``."""
    if image.mode.startswith("I"):
        image = PIL.Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
