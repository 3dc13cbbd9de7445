"""Reading how a picture was made refuses what is no such picture, and never runs anything."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from limner.engine.errors import InputError
from limner.nodes.provenance import read_provenance


def png(path: Path, text: str | None) -> Path:
    info = PngInfo()
    if text is not None:
        info.add_itxt("limner", text)
    PIL.Image.new("RGB", (4, 4)).save(path, "PNG", pnginfo=info)
    return path


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"graph": {}}', '{"graph": {}, "keys": 3, "software": {}}', "[" * 100_000],
    ids=["empty", "broken", "list", "number", "nothing", "no keys", "wrong keys", "brackets"],
)
def test_a_graph_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="carries a graph that cannot be read"):
        read_provenance(png(tmp_path / "a.png", text))


def test_a_picture_without_a_graph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="carries no graph"):
        read_provenance(png(tmp_path / "a.png", None))


@pytest.mark.parametrize(
    "content", [None, b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40)], ids=["gone", "empty", "HTML", "broken"]
)
def test_what_is_no_picture(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"no such file|read"):
        read_provenance(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """A file that claims more pixels than Pillow opens is one clear line."""
    path = png(tmp_path / "a.png", "{}")
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    with pytest.raises(InputError, match="larger than any picture"):
        read_provenance(path)
