"""The texts inside picture files, ours and those of other programs, read with limits and without decoding a pixel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from limner.engine.errors import InputError
from limner.nodes._xmp import find_text, join_extended

if TYPE_CHECKING:
    import PIL.Image

RECORD: Final = "limner"
"""What the text is called that says how Limner made the picture; in PNG also the keyword of its chunk."""
MAX_TEXT_BYTES: Final = 8 << 20
"""Longer texts are neither written nor read: some 20,000 nodes."""
_MAX_FILE_BYTES: Final = 1 << 28
"""8192 pixels a side are 201 MB, uncompressed."""
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_ENCODINGS: Final = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16-be", b"\0" * 8: "utf-8"}
"""How EXIF says what a comment is written in."""


@dataclass(frozen=True)
class PictureTexts:
    """A picture file, but for its pixels."""

    format: str
    """``PNG``, ``JPEG`` or ``WEBP``."""
    width: int
    height: int
    texts: Mapping[str, str]
    """By keyword; from EXIF ``UserComment`` and the names that ComfyUI puts before its texts."""


def read_texts(path: Path) -> PictureTexts:
    """The texts of a picture. Raises InputError that says why a file cannot be read, or is too large to be."""
    import PIL.Image

    from limner.nodes._picture_header import why_broken

    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pixels, which are not decoded here, and of odd EXIF
            with PIL.Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
                texts = dict(_png_texts(image) if image.format == "PNG" else _other_texts(image))
                kind = "JPEG" if image.format == "MPO" else str(image.format)
                return PictureTexts(kind, *image.size, texts)
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is no picture that can be read", hint="use PNG, JPEG or WebP") from error
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{path} is larger than any picture that Limner saves") from error
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from error
    except Exception as error:  # Pillow raises whatever broken bytes lead to
        raise InputError(f"{path} is damaged{why_broken(error)}", hint="save or download it again") from error


def _check_file(path: Path) -> None:
    if not path.is_file():  # a pipe might never end
        raise InputError(f"{path} is no file" if path.exists() else f"no such file: {path}")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InputError(f"{path} is larger than any picture that Limner saves")


def _png_texts(image: PIL.Image.Image) -> Iterator[tuple[str, str]]:
    for key, value in image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            yield key, _bounded(str(value))


def _other_texts(image: PIL.Image.Image) -> Iterator[tuple[str, str]]:
    packets = [image.info.get("xmp", b"")]
    packets.append(join_extended((data for name, data in getattr(image, "applist", ()) if name == "APP1"), _LIMIT))
    for packet in packets:
        if isinstance(packet, bytes) and (text := find_text(packet[:_LIMIT])) is not None:
            yield RECORD, _bounded(text)
    exif = image.getexif()
    comment = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if isinstance(comment, bytes) and (encoding := _ENCODINGS.get(comment[:8])) is not None:
        yield "UserComment", _bounded(comment[8:].decode(encoding, "replace"))
    for value in exif.values():
        name, colon, text = value.partition(":") if isinstance(value, str) else ("", "", "")
        if colon and name.lower() in ("prompt", "workflow"):
            yield name.lower(), _bounded(text)


_LIMIT: Final = 2 * MAX_TEXT_BYTES
"""Of a packet, in which a text may be longer by what is escaped."""


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(f"it carries a text of more than {MAX_TEXT_BYTES >> 20} MiB")
    return text
