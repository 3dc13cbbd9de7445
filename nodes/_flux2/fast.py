"""All that makes a resident transformer draw faster, for the length of one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from limner.nodes._flux2.attending import with_attention
from limner.nodes._flux2.compiling import with_compiled_blocks
from limner.nodes._flux2.live import LiveTransformer
from limner.nodes._flux2.reference_cache import with_cached_references
from limner.nodes._flux2.speed import Speed, check_speed
from limner.nodes._flux2.step_cache import with_step_cache


@contextmanager
def made_fast(live: LiveTransformer, speed: Speed, attention: str, steps: int, device: str) -> Iterator[None]:
    """Change how a model computes one run of so many steps; after the block it is the stock one again.

    Raises ModelError for what the model cannot do, DeviceError for what the device cannot.
    """
    check_speed(speed, live.family, live.mag_ratios)
    with (
        with_cached_references(live.model, speed.reference_cache),
        with_attention(live.model, attention, device),
        with_step_cache(live.model, speed.step_cache, steps, speed.mag_ratios or live.mag_ratios or ()),
        with_compiled_blocks(live.model, speed.compile),
    ):
        yield
