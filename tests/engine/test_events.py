"""The event stream: in order, without gaps, and never held up by a reader."""

from __future__ import annotations

import json
import threading
import weakref

from hypothesis import given
from hypothesis import strategies as st

from limner.engine import events as ev
from limner.engine.events import EventStream, as_dict


def refuse() -> None:
    raise AssertionError("nobody asked for the preview")


@given(
    kinds=st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=60),
    limit=st.integers(0, 8),
    reads=st.lists(st.integers(0, 5), max_size=20),
)
def test_a_slow_reader_loses_only_progress(kinds: list[tuple[bool, str]], limit: int, reads: list[int]) -> None:
    """Whatever is read when: events come in order, none but progress is missing, and the last progress is there."""
    stream = EventStream()
    reader, complete = stream.reader(limit), stream.reader(10_000)
    pauses, found = iter(reads), list[ev.Event]()
    for is_progress, name in kinds:
        if is_progress:
            stream.emit(ev.NodeProgress, name, 1, 2, refuse)
        else:
            stream.emit(ev.NodeWarned, name, "text")
        found += [event for _ in range(next(pauses, 0)) if (event := reader.read(0)) is not None]
    stream.close()
    found += list(reader)
    everything = list(complete)
    numbers = [event.seq for event in found]
    assert [event.seq for event in everything] == list(range(1, len(kinds) + 1))
    assert numbers == sorted(set(numbers))
    missing = [event for event in everything if event not in found]
    assert all(isinstance(event, ev.NodeProgress) for event in missing)
    for name in "abc":
        progress = [event for event in everything if isinstance(event, ev.NodeProgress) and event.node == name]
        assert not progress or progress[-1] in found
    assert reader.is_over


def test_a_reader_that_never_reads_stays_small() -> None:
    """A hundred thousand progress events leave one per node, however many other events wait."""
    stream = EventStream()
    reader = stream.reader(limit=100)
    for number in range(20_000):
        stream.emit(ev.NodeWarned, str(number), "waits")
    for number in range(100_000):
        stream.emit(ev.NodeProgress, f"n{number % 3}", number, 100_000, refuse)
    stream.close()
    assert len(list(reader)) == 20_003


def test_a_reader_without_previews_keeps_no_tensors_alive() -> None:
    """What a preview would draw is let go, while another reader may still ask for it."""

    class Tensor:
        def draw(self) -> None:
            """Make the picture."""

    stream = EventStream()
    watching, recording = stream.reader(), stream.reader(previews=False)
    tensor = Tensor()
    alive = weakref.ref(tensor)
    stream.emit(ev.NodeProgress, "n", 1, 2, tensor.draw)
    seen = watching.read(0)
    assert isinstance(seen, ev.NodeProgress)
    assert seen.preview is not None
    del tensor, seen
    assert alive() is None
    kept = recording.read(0)
    assert isinstance(kept, ev.NodeProgress)
    assert (kept.step, kept.preview) == (1, None)


def test_many_threads_emit_in_one_order() -> None:
    """Every reader gets the same events in the same order, numbered without gaps."""
    stream = EventStream()
    readers = [stream.reader(0) for _ in range(3)]

    def emit() -> None:
        for number in range(300):
            stream.emit(ev.NodeFinished, "n", float(number))

    threads = [threading.Thread(target=emit) for _ in range(6)]
    found: list[list[ev.Event]] = []
    listener = threading.Thread(target=lambda: found.append(list(readers[0])))
    for thread in [listener, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    stream.close()
    listener.join(10)
    found += [list(reader) for reader in readers[1:]]
    assert found[0] == found[1] == found[2]
    assert [event.seq for event in found[0]] == list(range(1, 1801))


def test_a_reader_of_a_stream_that_ended_ends() -> None:
    """Whoever comes too late waits for nothing."""
    stream = EventStream()
    stream.emit(ev.NodeWarned, "n", "text")
    stream.close()
    assert list(stream.reader()) == []


def test_reading_with_a_time_limit() -> None:
    stream = EventStream()
    reader = stream.reader()
    assert reader.read(0) is None
    assert reader.read(0.001) is None
    assert not reader.is_over
    stream.emit(ev.NodeWarned, "n", "text")
    event = reader.read()
    assert isinstance(event, ev.NodeWarned)


def test_gathering_takes_all_there_is() -> None:
    """After the time, or at once where the stream is over: every unread event, in order."""
    stream = EventStream()
    reader = stream.reader(limit=1)
    assert reader.gather(0.001) == []
    stream.emit(ev.NodeStarted, "n", "T", "cpu")
    for step in (1, 2, 3):
        stream.emit(ev.NodeProgress, "n", step, 3)
    stream.emit(ev.NodeFinished, "n", 1.0)
    assert [event.seq for event in reader.gather(0)] == [1, 4, 5]
    threading.Timer(0.01, stream.close).start()
    assert reader.gather(1000) == []
    assert reader.is_over


def test_a_reader_of_some_kinds_gets_no_other() -> None:
    """Events that it did not ask for are not kept for it."""
    stream = EventStream()
    reader = stream.reader(limit=10, kinds=[ev.NodeProgress, ev.NodeFinished])
    stream.emit(ev.NodeStarted, "n", "T", "cpu")
    stream.emit(ev.NodeProgress, "n", 1, 1)
    stream.emit(ev.NodeFinished, "n", 1.0)
    stream.close()
    assert [event.seq for event in reader] == [2, 3]


def test_events_are_json() -> None:
    """Each kind becomes an object with its name, its number and its time; pictures stay behind."""
    stream = EventStream(clock=lambda: 12.5)
    reader = stream.reader()
    stream.emit(ev.RunStarted, "graph", 3, 2)
    stream.emit(ev.NodeCached, "n", "key")
    stream.emit(ev.NodeStarted, "n", "Denoise", "cuda:0")
    stream.emit(ev.NodeResumed, "n", 4)
    stream.emit(ev.NodeProgress, "n", 1, 2, refuse)
    stream.emit(ev.NodeWarned, "n", "careful")
    stream.emit(ev.NodeFinished, "n", 0.5)
    stream.emit(ev.NodeFailed, "n", "broken", None)
    stream.emit(ev.NodeSkipped, "m", "n failed")
    stream.emit(ev.RunFinished, "failed", 1.0)
    stream.close()
    rows = [json.loads(json.dumps(as_dict(event))) for event in reader]
    assert [row["seq"] for row in rows] == list(range(1, 11))
    assert {row["time"] for row in rows} == {12.5}
    assert rows[0] == {"event": "run_started", "seq": 1, "time": 12.5, "graph": "graph", "nodes": 3, "todo": 2}
    assert rows[4] == {"event": "node_progress", "seq": 5, "time": 12.5, "node": "n", "step": 1, "total": 2}
    assert rows[7] == {"event": "node_failed", "seq": 8, "time": 12.5, "node": "n", "message": "broken"}
