"""Reading how a picture was made refuses what is no such picture, and never runs anything."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from limner.engine.context import Provenance
from limner.engine.document import parse, read_json
from limner.engine.errors import InputError
from limner.nodes.provenance import encode_picture, read_provenance


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


_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
_PLAIN = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    _PLAIN | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_IDS = st.text("aZ0_-é红", min_size=1, max_size=20)
_WIRES = _TEXTS | st.lists(_TEXTS, max_size=3)
_NODES = st.fixed_dictionaries(
    {"type": _TEXTS}, optional={"settings": st.dictionaries(_TEXTS, _VALUES), "wires": st.dictionaries(_TEXTS, _WIRES)}
)
_HASHES = st.dictionaries(_TEXTS, _TEXTS, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(_IDS, _NODES, max_size=5),
    _TEXTS,
    st.dictionaries(_TEXTS, st.dictionaries(_TEXTS, _VALUES, max_size=2), max_size=2),
    _HASHES,
    st.integers(0, 13),
)
def test_any_graph_survives_every_format(
    nodes: dict[str, Any], words: str, resolved: dict[str, Any], held: dict[str, str], doublings: int
) -> None:
    """What is saved is what is read, to the last character, in PNG, JPEG and WebP, in one segment or in many."""
    document, faults = parse({"limner": 1, "description": words * 2**doublings, "nodes": nodes})
    assert document is not None
    assert not faults
    told = Provenance(document.to_json(), held, held, held, held, resolved, {words: held}, words, len(nodes))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".png", ".jpg", ".webp"):
            content, is_told = encode_picture(np.zeros((4, 4, 3), np.uint8), suffix, 90, told)
            path = Path(folder) / f"a{suffix}"
            path.write_bytes(content)
            found = read_provenance(path)
            assert is_told
            assert parse(read_json(found.graph)) == (document, [])
            assert replace(found, graph=told.graph) == told


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_graph_of_5000_nodes_is_carried(tmp_path: Path, suffix: str) -> None:
    """With the keys of all of them, which no packing makes smaller."""
    nodes = {f"n{i}": {"type": "Add", "wires": {"value": f"n{i - 1}"}} for i in range(5000)}
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in nodes}
    told = Provenance(json.dumps({"limner": 1, "nodes": nodes}), keys)
    content, is_told = encode_picture(np.zeros((4, 4, 3), np.uint8), suffix, 90, told)
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert is_told
    assert len(content) > 500_000
    assert read_provenance(tmp_path / f"a{suffix}") == told
