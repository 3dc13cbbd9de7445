"""Server-sent events, read from chunks as they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

MAX_EVENT_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class ServerSent:
    """One event. ``id`` is empty where it has none."""

    kind: str
    id: str
    data: str


async def server_sent(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerSent]:
    """The events of a stream; one that it breaks off in is left out. Raises ValueError for what is no such stream."""
    fields: dict[str, list[str]] = {}
    size_bytes = 0
    async for line in _lines(chunks):
        size_bytes += len(line)
        if size_bytes > MAX_EVENT_BYTES:
            raise ValueError("an event has more bytes than one can have")
        if line:
            name, _, value = line.decode().partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            last = {name: values[-1] for name, values in fields.items()}
            yield ServerSent(last.get("event", "message"), last.get("id", ""), "\n".join(fields["data"]))
        fields, size_bytes = {}, 0


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines, without their ends. Raises ValueError where one does not end."""
    rest = b""
    async for chunk in chunks:
        if b"\n" not in chunk and len(rest) + len(chunk) > MAX_EVENT_BYTES:
            raise ValueError("a line has more bytes than one can have")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
