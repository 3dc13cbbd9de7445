"""What people see of a run, event by event."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from limner.engine import events as ev
from limner.progress import Bars, Lines, describe

TRANSFORMER = "the transformer of a/b"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ev.ModelFetching(1, 0.0, "denoise", TRANSFORMER, 0, 64_500_000_000),
            "downloading the transformer of a/b (64.5 GB)",
        ),
        (ev.ModelFetching(1, 0.0, "denoise", TRANSFORMER, 5, 64_500_000_000), None),
        (
            ev.ModelLoading(1, 0.0, "denoise", TRANSFORMER, "cuda:0", 64_500_000_000),
            "loading the transformer of a/b to cuda:0 (64.5 GB)",
        ),
        (ev.ModelLoading(1, 0.0, "denoise", TRANSFORMER, "cpu", 14_000_000), None),
        (
            ev.ModelDropped(1, 0.0, "denoise", TRANSFORMER, "cuda:0", 64_500_000_000),
            "the transformer of a/b leaves cuda:0 to make room",
        ),
    ],
)
def test_what_takes_long_is_said(event: ev.Event, line: str | None) -> None:
    """A download once, with its size; a load or a drop where it is not over at once."""
    described = describe(event)
    assert (described is None) == (line is None)
    if line is not None:
        assert line in str(described)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ev.ModelLoaded(1, 0.0, "denoise", TRANSFORMER, "cpu", 14_000_000, 0.25),
            "the transformer of a/b is on cpu: 14.0 MB in 0.25 s",
        ),
        (
            ev.ModelDropped(1, 0.0, "decode", TRANSFORMER, "cpu", 14_000_000),
            "the transformer of a/b leaves cpu to make room: 14.0 MB",
        ),
    ],
)
def test_every_model_is_told_of_on_demand(event: ev.Event, line: str) -> None:
    """Of small models too, with size and seconds, in bars and in lines; otherwise they pass in silence."""
    assert describe(event) is None
    for kind in (Bars, Lines):
        stream = StringIO()
        with kind(Console(file=stream, force_terminal=True, width=120), is_verbose=True) as display:
            display.show(event)
        assert line in stream.getvalue()


def test_a_download_moves_the_bar_of_its_node() -> None:
    """In megabytes, then the bar begins anew for the steps."""
    stream = StringIO()
    with Bars(Console(file=stream, force_terminal=True, width=120)) as bars:
        bars.show(ev.NodeStarted(1, 0.0, "denoise", "Denoise", "cuda:0"))
        bars.show(ev.ModelFetching(2, 0.0, "denoise", TRANSFORMER, 32_000_000, 64_000_000))
        bars._progress.refresh()
        assert "32/64" in stream.getvalue()
        bars.show(ev.ModelLoading(3, 0.0, "denoise", TRANSFORMER, "cuda:0", 64_000_000))
        bars.show(ev.NodeProgress(4, 0.0, "denoise", 1, 28))
        bars._progress.refresh()
        assert "1/28" in stream.getvalue()
        bars.show(ev.NodeFinished(5, 0.0, "denoise", 1.0))
