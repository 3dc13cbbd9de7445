"""How a picture was made, inside its file: written by SaveImage, read by whoever makes it again."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from limner.engine.context import Provenance
from limner.engine.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

PNG_KEY = "limner"
"""The keyword of the iTXt chunk."""

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_ASCII = b"ASCII\0\0\0"
"""How EXIF says that a comment is ASCII; JSON with escapes is."""
_MAX_JPEG_EXIF = 65_533
"""A JPEG segment holds no more."""


def encode_picture(pixels: NDArray[np.uint8], suffix: str, quality: int, provenance: Provenance) -> tuple[bytes, bool]:
    """One picture (H, W, 3) as the content of a file, and whether its provenance found room there.

    PNG holds it as iTXt ``limner``, JPEG and WebP as EXIF UserComment: JSON with ``graph``, ``keys`` and ``software``.
    """
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    image, buffer = PIL.Image.fromarray(pixels), io.BytesIO()
    text = _to_json(provenance)
    if suffix == ".png":
        info = PngInfo()
        info.add_itxt(PNG_KEY, text)
        image.save(buffer, "PNG", pnginfo=info)
        return buffer.getvalue(), True
    kind = "WEBP" if suffix == ".webp" else "JPEG"
    exif = PIL.Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + text.encode("ascii")
    content = exif.tobytes()
    has_room = kind == "WEBP" or len(content) <= _MAX_JPEG_EXIF
    image.save(buffer, kind, quality=quality, exif=content if has_room else b"")
    return buffer.getvalue(), has_room


def read_provenance(path: Path) -> Provenance:
    """What ``encode_picture`` wrote into a file. Raises InputError where there is nothing, or nothing to be read."""
    import PIL.Image

    try:
        with PIL.Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
            text = _find_text(image)
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is no picture that can be read", hint="use PNG, JPEG or WebP") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} is larger than any picture that Limner saves") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if text is None:
        raise InputError(f"{path} carries no graph", hint="only pictures that Limner saved do")
    try:
        document = json.loads(text)
        return Provenance(
            graph=json.dumps(document["graph"]),
            keys={str(name): str(key) for name, key in document["keys"].items()},
            devices={str(name): str(lane) for name, lane in document.get("devices", {}).items()},
            software={str(name): str(version) for name, version in document["software"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} carries a graph that cannot be read") from error


def _to_json(provenance: Provenance) -> str:
    parts = asdict(provenance) | {"graph": json.loads(provenance.graph)}
    return json.dumps(parts, ensure_ascii=True)


def _find_text(image: PIL.Image.Image) -> str | None:
    if image.format == "PNG":
        text = image.info.get(PNG_KEY)
        return str(text) if text is not None else None
    comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if isinstance(comment, bytes) and comment.startswith(_ASCII):
        return comment[len(_ASCII) :].decode("ascii", "replace")
    return None
