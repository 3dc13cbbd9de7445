"""The context that node authors test with."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Add
from pooled import Spec
from test_store import Blob

from limner.engine.errors import Cancelled
from limner.engine.testing import FakeContext


def test_it_records_what_a_node_does() -> None:
    """Steps, previews and warnings are kept; models are the test's; checkpoints and parts go through bytes."""
    module: Any = object()
    ctx = FakeContext(modules={Spec("a"): module})
    assert Add(amount=2).run(ctx, 3) == 5
    with ctx.hold(Spec("a")) as held:
        assert held is module
    assert ctx.resume(Blob) is None
    ctx.checkpoint(3, Blob(b"x"))
    assert ctx.resume(Blob) == (3, Blob(b"x"))
    assert ctx.recall("one", Blob) is None
    ctx.remember("one", Blob(b"1"))
    assert (ctx.recall("one", Blob), ctx.recall("two", Blob)) == (Blob(b"1"), None)
    ctx.progress(1, 2, lambda: Blob(b"preview"))
    ctx.warn("careful")
    assert (ctx.steps, ctx.previews, ctx.warnings) == ([(1, 2)], [Blob(b"preview")], ["careful"])


def test_it_cancels_at_a_step() -> None:
    ctx = FakeContext(cancel_at=2)
    ctx.progress(1, 3)
    with pytest.raises(Cancelled):
        ctx.progress(2, 3)
    assert ctx.cancelled
