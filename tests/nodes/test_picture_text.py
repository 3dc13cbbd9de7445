"""Hostile metadata is refused in words, within bounds of memory, and never runs or crashes anything."""

from __future__ import annotations

import io
import struct
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.engine.context import Provenance
from limner.engine.errors import InputError
from limner.nodes._picture_text import MAX_TEXT_BYTES, RECORD, read_texts
from limner.nodes._xmp import find_text, join_extended, jpeg_packets, packet
from limner.nodes.provenance import read_picture_story

START = b"\x89PNG\r\n\x1a\n"
SOUND = '{"graph": {"limner": 1, "nodes": {}}, "keys": {}, "software": {}}'


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path: Path, *chunks: bytes) -> Path:
    """A picture of 4 x 4 with chunks of anything before its pixels."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (4, 4)).save(buffer, "PNG")
    content = buffer.getvalue()
    path.write_bytes(content[:33] + b"".join(chunks) + content[33:])
    return path


def jpeg(path: Path, xmp: bytes = b"", extra: bytes = b"", exif: bytes = b"") -> Path:
    PIL.Image.new("RGB", (4, 4)).save(path, "JPEG", xmp=xmp, extra=extra, exif=exif)
    return path


def webp(path: Path, xmp: bytes = b"", exif: bytes = b"") -> Path:
    PIL.Image.new("RGB", (4, 4)).save(path, "WEBP", xmp=xmp, exif=exif)
    return path


def refusal(path: Path) -> str:
    """Why a picture is refused; says how much memory at most that took."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            read_picture_story(path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert str(path) in caught.value.message
    return caught.value.message


def outcome(path: Path) -> str | None:
    """Why a picture is refused; None where it is read. Anything else fails."""
    try:
        read_picture_story(path)
    except InputError as error:
        return error.message
    return None


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_compressed_bomb_is_not_unpacked(tmp_path: Path, kind: bytes) -> None:
    """Some kilobytes that would be 256 MiB."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    head = b"limner\0\0" if kind == b"zTXt" else b"limner\0\1\0\0\0"
    path = png(tmp_path / "a.png", chunk(kind, head + bomb))
    assert path.stat().st_size < 2 << 20
    assert "is damaged" in refusal(path)


def test_a_text_beyond_the_limit_is_not_parsed(tmp_path: Path) -> None:
    """In each format, and where only escapes make it long it is read."""
    long = "[" * (MAX_TEXT_BYTES + 1)
    main, extended = jpeg_packets(long)
    for path in (
        png(tmp_path / "a.png", chunk(b"iTXt", b"limner\0\0\0\0\0" + long.encode())),
        jpeg(tmp_path / "a.jpg", main, extended),
        webp(tmp_path / "a.webp", packet(long)),
    ):
        assert "a text of more than 8 MiB" in refusal(path)
    text = "&" * (MAX_TEXT_BYTES // 4)
    assert read_texts(webp(tmp_path / "b.webp", packet(text))).texts[RECORD] == text


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"graph":' * 50_000,
        SOUND.replace("{}", "3", 1),
        SOUND.replace('"keys": {}', '"keys": {"a": 3}'),
        SOUND[:-1] + ', "number": "1"}',
        SOUND[:-1] + ', "resolved": {"a": 3}}',
        SOUND[:-1] + ', "keys": {}}',
        '{"graph": NaN, "keys": {}, "software": {}}',
        '{"graph": ' + "9" * 10_000 + ', "keys": {}, "software": {}}',
    ],
    ids=["brackets", "objects", "graph", "keys", "number", "resolved", "twice", "NaN", "digits"],
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Depth, wrong types, names that stand twice: one line each. A graph that is none is found where it is checked."""
    path = png(tmp_path / "a.png", chunk(b"iTXt", b"limner\0\0\0\0\0" + text.encode()))
    if '"nodes": 3' in text:
        assert read_picture_story(path).provenance is not None
    else:
        assert refusal(path).endswith("carries a graph that cannot be read")


def test_the_last_of_two_records_counts(tmp_path: Path) -> None:
    """As for every reader of PNG; nobody gets to see a mixture."""
    first, last = (SOUND.replace("{}", f'{{"{name}": {{"type": "Text"}}}}', 1) for name in "ab")
    chunks = [chunk(b"iTXt", b"limner\0\0\0\0\0" + text.encode()) for text in (first, last)]
    found = read_picture_story(png(tmp_path / "a.png", *chunks)).provenance
    assert found is not None
    assert '"b"' in found.graph
    assert '"a"' not in found.graph


def test_what_newer_versions_say_besides_is_passed_over(tmp_path: Path) -> None:
    """A record may grow."""
    text = SOUND[:-1] + ', "mood": ["good"]}'
    found = read_picture_story(png(tmp_path / "a.png", chunk(b"iTXt", b"limner\0\0\0\0\0" + text.encode())))
    assert found.provenance == Provenance('{"limner": 1, "nodes": {}}')


def test_a_file_of_any_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Of a terabyte of nothing, not a byte."""
    path = tmp_path / "a.webp"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "larger than any picture" in refusal(path)


def test_broken_exif_is_no_reason_to_crash(tmp_path: Path) -> None:
    """Offsets and counts that lead out of the file, and a comment that is no text."""
    for number, exif in enumerate(
        (
            b"Exif\0\0MM\0*\xff\xff\xff\xff",
            b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x69\x87\x04\0\xff\xff\xff\xff\x08\0\0\0" * 20,
            b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\0",
            b"Exif\0\0" + bytes(60_000),
            b"Exif\0\0MM",
        )
    ):
        for path in (
            jpeg(tmp_path / f"{number}.jpg", exif=exif),
            webp(tmp_path / f"{number}.webp", exif=exif),
        ):
            assert "is damaged" in (outcome(path) or "is damaged")


def test_extended_xmp_with_holes_is_refused(tmp_path: Path) -> None:
    """A part that is missing, twice there, or said to be longer than it is; parts in any order are one text."""
    main, extended = jpeg_packets(SOUND + " " * 200_000)
    starts = [
        at
        for at in range(len(extended))
        if extended.startswith(b"\xff\xe1", at) and b"xmp/ext" in extended[at : at + 40]
    ]
    parts = [extended[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert len(parts) == 4
    assert read_picture_story(jpeg(tmp_path / "a.jpg", main, b"".join(reversed(parts)))).provenance is not None
    for wrong in (parts[1:], [*parts, parts[2]]):
        assert "extended XMP" in refusal(jpeg(tmp_path / "b.jpg", main, b"".join(wrong)))
    with pytest.raises(InputError, match="too long"):
        join_extended([parts[0][4:]], 1000)


def test_xmp_that_another_program_wrote_anew_is_found() -> None:
    """As an attribute, with its own escapes and among others."""
    text = '{"a": "<&>"}'
    assert (
        find_text(b'<rdf:Description a:b="c" limner:record="{&quot;a&quot;: &quot;&lt;&amp;&gt;&quot;}" d:e=""/>')
        == text
    )
    assert find_text(packet(text)) == text
    assert find_text(b"<limner:record>never closed") is None


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("sound")
    main, extended = jpeg_packets(SOUND + " " * 100_000)
    tags = PIL.Image.Exif()
    tags.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0Steps: 1, Seed: 2"
    exif = tags.tobytes()
    made = (
        png(folder / "a.png", chunk(b"iTXt", b"limner\0\0\0\0\0" + SOUND.encode())),
        jpeg(folder / "a.jpg", main, extended, exif),
        webp(folder / "a.webp", packet(SOUND), exif),
    )
    assert all(read_picture_story(path).provenance is not None for path in made)
    return [path.read_bytes() for path in made]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2), st.data())
def test_any_damage_is_read_or_refused(pictures: list[bytes], index: int, data: st.DataObject) -> None:
    """Bytes cut off, changed or put in, anywhere: a picture without a story, with one, or a refusal in words."""
    content = bytearray(pictures[index])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "drop"]))
        if kind == "change":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(max_size=8))
        else:
            del content[at : at + (8 if kind == "drop" else len(content))]
        if not content:
            return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bin"
        path.write_bytes(content)
        assert str(path) in (outcome(path) or str(path))
