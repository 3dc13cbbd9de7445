"""What a worker tells past the store."""

from __future__ import annotations

import io
import os
import struct
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest

from limner.engine import events as ev
from limner.server.jobs.live import LivePipe, read_frames


def test_steps_and_previews_go_through_the_pipe() -> None:
    """While somebody watches, a step comes with its numbers and its preview as a JPEG; otherwise nothing does."""
    reading, writing = os.pipe()
    writer = os.fdopen(writing, "wb")
    pipe = LivePipe(writer)
    events = ev.EventStream()
    made: list[int] = []

    def preview() -> Any:
        made.append(1)
        return SimpleNamespace(pixels=np.zeros((1, 8, 12, 3), np.uint8))

    with os.fdopen(reading, "rb") as stream, writer, pipe.telling("j", events):
        frames = read_frames(stream)
        events.emit(ev.NodeProgress, "unseen", 1, 2, preview)
        pipe.tell_models([])  # a frame that tells that the step before was passed over
        assert next(frames)[0] == {"kind": "models", "models": []}
        while events_waiting(events):
            pass
        pipe.is_watched = True
        events.emit(ev.NodeProgress, "denoise", 2, 2, preview)
        step = {"job": "j", "node": "denoise", "step": 2, "total": 2}
        assert next(frames) == ({"kind": "step", **step}, b"")
        said, picture = next(frames)
        assert said == {"kind": "preview", "media_type": "image/jpeg", **step}
        assert PIL.Image.open(io.BytesIO(picture)).size == (252, 168)
        assert len(made) == 1


def events_waiting(events: ev.EventStream) -> bool:
    return any(reader._has_unread() for reader in events._readers)


class Unread(io.RawIOBase):
    """A pipe that nobody reads: writing waits until the gate opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.writes = 0

    def write(self, said: Any) -> int:
        self.gate.wait(30)
        self.writes += 1
        return len(said)


def test_a_run_never_waits_for_who_reads() -> None:
    """Nobody reads: the run goes on, and what waits for each node is its latest step."""
    stream = Unread()
    pipe = LivePipe(stream)  # type: ignore[arg-type]  # as far as it is used
    pipe.is_watched = True
    events = ev.EventStream()
    with pipe.telling("j", events):
        for step in range(5000):
            events.emit(ev.NodeProgress, f"n{step % 7}", step, 5000, None)
        stream.gate.set()
    assert stream.writes < 100


@pytest.mark.parametrize(
    "said",
    [b"", b"abc", struct.pack(">II", 5, 0) + b"hello", struct.pack(">II", 2**31, 2**31), struct.pack(">II", 2, 9)],
)
def test_what_is_no_frame_ends_the_listening(said: bytes) -> None:
    """A worker that says something else is not listened to, and no memory is taken for what it claims."""
    assert list(read_frames(io.BytesIO(said))) == []
