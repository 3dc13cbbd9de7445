"""What a worker tells past the store while somebody watches: steps as they are made, previews, counts, live models.

It goes through the worker's standard output, as frames. Nothing is lost with them: what must be known is in the store.
"""

from __future__ import annotations

import io
import json
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final

from limner.engine.events import EventStream, NodeProgress, Reader
from limner.engine.models import ResidentModel
from limner.server.jobs.tally import Tally

STEP_S: Final = 0.1
"""At most so often a step of a node is told."""
PREVIEW_S: Final = 0.25
"""At most so often a preview is made, and at most a tenth of the time."""
PREVIEW_SIDE: Final = 256
"""Smaller ones are made larger, by a whole number: editors show them as they are."""
_HEAD: Final = struct.Struct(">II")
_MAX_BYTES: Final = 32 << 20

Frame = tuple[Mapping[str, Any], bytes]
"""What is told, as JSON can hold it, and a picture or nothing."""


class LivePipe:
    """The worker's end. A thread of its own writes, so that a run never waits for whoever reads."""

    def __init__(self, stream: BinaryIO) -> None:
        self.is_watched = False
        """Whether anybody wants to know of steps."""
        self.is_to_free = False
        """Whether the models are to leave that no job needs."""
        self._stream = stream
        self._lock = threading.Lock()

    @contextmanager
    def telling(self, job_id: str, events: EventStream) -> Iterator[None]:
        """Within, tell of a run's steps."""
        reader = events.reader(limit=1, kinds=[NodeProgress])
        threading.Thread(target=self._tell, args=(job_id, reader), name="limner live", daemon=True).start()
        try:
            yield
        finally:
            reader.close()

    def take_free(self) -> bool:
        """Whether models are to leave; asked once."""
        is_to_free, self.is_to_free = self.is_to_free, False
        return is_to_free

    def tell_models(self, models: list[ResidentModel]) -> None:
        """Tell which models are alive."""
        found = [
            {
                "model": str(one.spec),
                "device": one.device,
                "size_bytes": one.size_bytes,
                "budget_bytes": one.budget_bytes,
            }
            for one in models
        ]
        self._write({"kind": "models", "models": found})

    def tell_tally(self, tally: Tally) -> None:
        """Tell what was counted in an attempt."""
        self._write({"kind": "tally", **tally.as_data()})

    def _tell(self, job_id: str, reader: Reader) -> None:
        told_at: dict[str, float] = {}
        next_preview = 0.0
        for event in reader:
            now = time.monotonic()
            if not self.is_watched or not isinstance(event, NodeProgress):
                continue
            if now - told_at.get(event.node, 0.0) < STEP_S and event.step < event.total:
                continue
            told_at[event.node] = now
            said = {"job": job_id, "node": event.node, "step": event.step, "total": event.total}
            self._write({"kind": "step", **said})
            if event.preview is not None and now >= next_preview:
                self._write({"kind": "preview", "media_type": "image/jpeg", **said}, _as_jpeg(event.preview()))
                next_preview = now + max(PREVIEW_S, 10 * (time.monotonic() - now))

    def _write(self, said: Mapping[str, Any], picture: bytes = b"") -> None:
        text = json.dumps(said).encode()
        with self._lock, suppress(OSError, ValueError):  # nobody reads any more
            self._stream.write(_HEAD.pack(len(text), len(picture)) + text + picture)
            self._stream.flush()


def read_frames(stream: BinaryIO) -> Iterator[Frame]:
    """What a worker tells, until it ends or says what is no frame."""
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        text_bytes, picture_bytes = _HEAD.unpack(head)
        if text_bytes + picture_bytes > _MAX_BYTES:
            return
        text, picture = stream.read(text_bytes), stream.read(picture_bytes)
        if len(picture) < picture_bytes:
            return
        try:
            said = json.loads(text)
        except ValueError:
            return
        yield said, picture


def _as_jpeg(preview: Any) -> bytes:
    """The first picture of a preview, large enough to be seen: it has a pixel for each of the latent's."""
    import PIL.Image

    picture, buffer = PIL.Image.fromarray(preview.pixels[0]), io.BytesIO()
    if (factor := PREVIEW_SIDE // max(picture.size)) > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), PIL.Image.Resampling.BICUBIC)
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
