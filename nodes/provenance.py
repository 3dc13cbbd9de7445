"""How a picture was made, inside its file: written by SaveImage, read by whoever makes it again."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from limner.engine.context import Provenance
from limner.engine.document import read_json
from limner.engine.errors import GraphError, InputError
from limner.nodes._a1111_text import a1111_text
from limner.nodes._picture_text import MAX_TEXT_BYTES, RECORD, PictureTexts, read_texts
from limner.nodes._xmp import jpeg_packets, packet
from limner.nodes.foreign_picture import Foreign, recognize

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_MAX_JPEG_EXIF = 65_533
"""A JPEG segment holds no more."""


def encode_picture(
    pixels: NDArray[np.uint8], suffix: str, quality: int, provenance: Provenance | None
) -> tuple[bytes, bool]:
    """One picture (H, W, 3) as the content of a file, and whether its provenance (None for none) found room there.

    PNG holds it as iTXt ``limner``, JPEG and WebP in XMP: JSON with the fields of Provenance. Besides, ``parameters``
    (PNG) or EXIF UserComment has a few lines as AUTOMATIC1111 writes them, which many programs show.
    """
    import PIL.Image

    text = "" if provenance is None else to_json(provenance)
    if provenance is None or len(text) > MAX_TEXT_BYTES:
        return _encode(PIL.Image.fromarray(pixels), suffix, quality), provenance is None
    image, lines = PIL.Image.fromarray(pixels), a1111_text(provenance)
    if suffix == ".png":
        return _encode_png(image, text, lines), True
    comment = _exif(lines)
    if suffix == ".webp":
        return _encode(image, suffix, quality, xmp=packet(text), exif=comment), True
    main, extended = jpeg_packets(text)
    return _encode(image, suffix, quality, xmp=main, extra=extended, exif=comment), True


def to_json(provenance: Provenance) -> str:
    """The record as pictures hold it: JSON in ASCII, the graph as an object.

    A text that begins with the user's home folder begins with ``~`` there, as the user might have written it: a picture
    that is shown around need not name its maker.
    """
    text = json.dumps(asdict(provenance) | {"graph": json.loads(provenance.graph)}, ensure_ascii=True)
    home = Path.home()
    if home == Path(home.anchor):
        return text
    begin = re.escape(json.dumps(str(home))[:-1])
    return re.sub(rf"(?<!\\){begin}(?=/|\\\\)", '"~', text)


@dataclass(frozen=True)
class Picture:
    """What a picture file says of itself."""

    format: str
    width: int
    height: int
    provenance: Provenance | None
    """How Limner made it; None where it did not, or was told not to say so."""
    foreign: Foreign | None
    """What another program says."""


def read_picture_story(path: Path) -> Picture:
    """What a picture says of its making. Raises InputError where it is none, or what it says cannot be read."""
    found = read_texts(path)
    if (text := found.texts.get(RECORD)) is not None:
        return _picture(found, _parse(text, path), None)
    return _picture(found, None, recognize(found.texts))


def read_provenance(path: Path) -> Provenance:
    """How Limner made a picture. Raises InputError where it did not, or where that cannot be read."""
    picture = read_picture_story(path)
    if picture.provenance is not None:
        return picture.provenance
    if picture.foreign is None:
        raise InputError(f"{path} carries no graph", hint="only pictures that Limner saved do")
    raise InputError(
        f"{path} carries no graph of Limner's; it was made by {picture.foreign.maker}: {picture.foreign.summary}",
        hint=f"limner inspect {path} shows what is inside",
    )


class _Record(BaseModel):
    """The shape of what ``to_json`` writes; what newer versions may add is passed over."""

    model_config = ConfigDict(strict=True)

    graph: Any
    keys: dict[str, str]
    software: dict[str, str]
    devices: dict[str, str] = {}
    hardware: dict[str, str] = {}
    resolved: dict[str, dict[str, Any]] = {}
    sources: dict[str, dict[str, str]] = {}
    saved_by: str = ""
    number: int = 1


def _parse(text: str, path: Path) -> Provenance:
    try:
        record = vars(_Record.model_validate(read_json(text)))
        return Provenance(**record | {"graph": json.dumps(record["graph"])})
    except (ValidationError, GraphError, ValueError, RecursionError) as error:
        raise InputError(f"{path} carries a graph that cannot be read") from error


def _picture(found: PictureTexts, provenance: Provenance | None, foreign: Foreign | None) -> Picture:
    return Picture(found.format, found.width, found.height, provenance, foreign)


def _encode_png(image: PIL.Image.Image, text: str, lines: str | None) -> bytes:
    """Not compressed: Pillow, and so most programs, open no picture with a compressed text of more than 1 MB."""
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add_itxt(RECORD, text)
    if lines is not None:
        chunks.add_itxt("parameters", lines)
    return _encode(image, ".png", 0, pnginfo=chunks)


def _encode(image: PIL.Image.Image, suffix: str, quality: int, **metadata: Any) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".png":
        image.save(buffer, "PNG", **metadata)
    else:
        image.save(buffer, "WEBP" if suffix == ".webp" else "JPEG", quality=quality, **metadata)
    return buffer.getvalue()


def _exif(lines: str | None) -> bytes:
    """A UserComment, as far as it fits into every format."""
    import PIL.Image

    if lines is None:
        return b""
    exif = PIL.Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + lines.encode("utf-16-be", "replace")
    content = exif.tobytes()
    return content if len(content) <= _MAX_JPEG_EXIF else b""
