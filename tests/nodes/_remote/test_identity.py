"""What services said of themselves is believed for seconds, and then forgotten."""

from __future__ import annotations

from dataclasses import dataclass

from limner.nodes._remote.identity import FRESH_S, KnownModels


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_was_said_is_believed_for_seconds() -> None:
    """Of that URL alone: behind it there may soon be another service."""
    clock = Clock()
    known = KnownModels(clock)
    known.put("http://a", "sha256:1")
    clock.now_s += FRESH_S * 0.9
    assert (known.get("http://a"), known.get("http://b")) == ("sha256:1", None)
    clock.now_s += FRESH_S * 0.2
    assert known.get("http://a") is None


def test_what_is_not_believed_is_forgotten() -> None:
    """A process that asks many services does not grow with each."""
    clock = Clock()
    known = KnownModels(clock)
    for number in range(100):
        known.put(f"http://a:{number}", "sha256:1")
        clock.now_s += FRESH_S / 2
    assert len(known._known) <= 2
