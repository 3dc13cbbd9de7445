"""Pictures as clients of the protocol ask for them: a channel alone, smaller files, a mask put into its picture."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Channel = Literal["rgba", "rgb", "a"]
_SIZE, _MARGIN = (360, 360), 20
_GROUND, _NODE, _LINK = "#1e1e24", "#45455a", "#8ea6ff"
_SUFFIXES: Final = {"webp": ".webp", "jpeg": ".jpg"}
_LONGEST: Final = {"webp": 16383, "jpeg": 65500}
"""Pixels a side that files of a kind, or those who write them, have at most."""


def one_channel(content: bytes, channel: Channel) -> bytes:
    """A picture without its transparency, or its transparency alone, as PNG. Raises InputError."""
    image = _decoded(content)
    alpha = image.getchannel("A")
    image.putalpha(255)
    if channel == "a":
        image.paste((0, 0, 0, 255), (0, 0, *image.size))
        image.putalpha(alpha)
    return _encoded(image, "png", 100)


def smaller(content: bytes, how: str) -> tuple[bytes, str]:
    """A picture in fewer bytes, and the ending of its kind: ``how`` is ``webp``, ``jpeg;90``. Raises InputError.

    One that is too long for its kind is scaled down.
    """
    kind, _, quality = how.partition(";")
    kind = kind if kind in _SUFFIXES else "webp"
    image = _decoded(content)
    image.thumbnail((_LONGEST[kind], _LONGEST[kind]))
    wanted = int(quality) if quality.isascii() and quality.isdigit() and len(quality) < 4 else 90
    return _encoded(image.convert("RGB") if kind == "jpeg" else image, kind, min(max(wanted, 1), 100)), _SUFFIXES[kind]


def with_mask(original: bytes, mask: bytes) -> bytes:
    """A picture with the transparency of another one, scaled to its size, as PNG. Raises InputError."""
    image, alpha = _decoded(original), _decoded(mask).getchannel("A")
    image.putalpha(alpha if alpha.size == image.size else alpha.resize(image.size))
    return _encoded(image, "png", 100)


def drawing(workflow: Mapping[str, Any]) -> bytes:
    """A workflow as the editor would show it from afar, as WebP: its nodes and its links."""
    from PIL import Image, ImageDraw

    boxes = {node["id"]: (*node["pos"], *node["size"]) for node in workflow["nodes"]}
    left, top = (min((box[side] for box in boxes.values()), default=0) for side in (0, 1))
    right, bottom = (max((box[side] + box[side + 2] for box in boxes.values()), default=1) for side in (0, 1))
    scale = min((_SIZE[0] - 2 * _MARGIN) / (right - left), (_SIZE[1] - 2 * _MARGIN) / (bottom - top))
    x0, y0 = (_SIZE[0] - (right - left) * scale) / 2, (_SIZE[1] - (bottom - top) * scale) / 2
    image = Image.new("RGB", _SIZE, _GROUND)
    draw = ImageDraw.Draw(image)

    def at(x: float, y: float) -> tuple[float, float]:
        return x0 + (x - left) * scale, y0 + (y - top) * scale

    for _, source, _, target, *_ in workflow["links"]:
        (x, y, width, height), (to_x, to_y, _, to_height) = boxes[source], boxes[target]
        draw.line([at(x + width, y + height / 2), at(to_x, to_y + to_height / 2)], fill=_LINK, width=3)
    for x, y, width, height in boxes.values():
        draw.rounded_rectangle([at(x, y), at(x + width, y + height)], radius=5, fill=_NODE, outline=_LINK)
    return _encoded(image, "webp", 90)


def _decoded(content: bytes) -> Image:
    """A picture in RGBA, turned as its EXIF says. Raises InputError for what is none, or has too many pixels."""
    from PIL import ImageOps

    from limner.nodes._picture_header import opened

    with opened(BytesIO(content), "the picture") as image:
        return ImageOps.exif_transpose(image).convert("RGBA")


def _encoded(image: Image, kind: str, quality: int) -> bytes:
    out = BytesIO()
    image.save(out, kind.upper(), **({} if kind == "png" else {"quality": quality}))
    return out.getvalue()
