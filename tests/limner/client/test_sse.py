"""Server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from limner.client.sse import ServerSent, server_sent

STREAM = (
    b"id: 1\nevent: queued\ndata: {}\n\n: still here\n\nevent: step\r\ndata: a\r\ndata:b\r\n\r\n"
    + "id: 2\nevent: \u00e4\ndata: \u00fc\n\nid: 3\ndata: half".encode()
)
EVENTS = [ServerSent("queued", "1", "{}"), ServerSent("step", "", "a\nb"), ServerSent("\u00e4", "2", "\u00fc")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    """However the stream is cut, the same whole events come; what is broken off is left out."""
    places = [0, *sorted(cuts), len(STREAM)]

    async def chunks() -> AsyncIterator[bytes]:
        for start, end in pairwise(places):
            yield STREAM[start:end]

    async def read() -> list[ServerSent]:
        return [event async for event in server_sent(chunks())]

    assert asyncio.run(read()) == EVENTS
