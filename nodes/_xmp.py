"""XMP, the metadata that JPEG and WebP share: a text of ours in it, written as others read it, and found again.

The format is that of Adobe's XMP specification, parts 1 and 3: an RDF packet, and in JPEG, where a segment holds 64 KB,
extended XMP for what is longer.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Iterator
from typing import Final

from limner.engine.errors import InputError

NAMESPACE: Final = "urn:x-limner:1/"
MAX_PACKET: Final = 65_502
"""Bytes of a packet that one JPEG segment holds."""
_TAG: Final = "limner:record"
_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"
_PORTION: Final = 65_400
"""Bytes of extended XMP a segment, as the specification advises."""
_NOTE: Final = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP'
_HEAD: Final = len(_EXTENSION) + 32 + 4 + 4


def packet(text: str) -> bytes:
    """A packet that holds a text of printable ASCII."""
    return _wrapped(_description(f'xmlns:limner="{NAMESPACE}"', f"<{_TAG}>{html.escape(text, quote=False)}</{_TAG}>"))


def jpeg_packets(text: str) -> tuple[bytes, bytes]:
    """The packet of a JPEG, and the segments with what does not fit into it (none where all does)."""
    whole = packet(text)
    if len(whole) <= MAX_PACKET:
        return whole, b""
    guid = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper()
    return _wrapped(_description(f'{_NOTE}="{guid}"', "")), b"".join(_segments(whole, guid.encode()))


def find_text(packet: bytes) -> str | None:
    """The text in a packet of ours, also after another program has written it anew; None where there is none."""
    content = packet.decode("utf-8", "replace")
    for begin, end in ((f"<{_TAG}>", f"</{_TAG}>"), (f'{_TAG}="', '"')):
        _, found, rest = content.partition(begin)
        text, closed, _ = rest.partition(end)
        if found and closed:
            return html.unescape(text)
    return None


def join_extended(segments: Iterable[bytes], limit: int) -> bytes:
    """Extended XMP from a JPEG's APP1 segments, in whatever order; empty where there is none.

    Raises InputError where a part is missing or twice there, and for more than ``limit`` bytes.
    """
    parts: dict[int, bytes] = {}
    length = 0
    for segment in segments:
        if not segment.startswith(_EXTENSION) or len(segment) <= _HEAD:
            continue
        length, offset = (int.from_bytes(segment[_HEAD - at : _HEAD - at + 4], "big") for at in (8, 4))
        if offset in parts or length > limit:
            raise InputError("its extended XMP is damaged, or too long")
        parts[offset] = segment[_HEAD:]
    joined = b"".join(parts[offset] for offset in sorted(parts))
    if len(joined) != length:
        raise InputError("parts of its extended XMP are missing")
    return joined


def _segments(content: bytes, guid: bytes) -> Iterator[bytes]:
    for offset in range(0, len(content), _PORTION):
        body = _EXTENSION + guid + len(content).to_bytes(4, "big") + offset.to_bytes(4, "big")
        body += content[offset : offset + _PORTION]
        yield b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


def _description(attributes: str, content: str) -> str:
    return f'<rdf:Description rdf:about="" {attributes}>{content}</rdf:Description>'


def _wrapped(description: str) -> bytes:
    body = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"{description}</rdf:RDF></x:xmpmeta>"
    )
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="r"?>'.encode()
