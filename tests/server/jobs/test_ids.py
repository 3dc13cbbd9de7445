"""Ids that sort by time."""

from __future__ import annotations

from uuid import UUID

from hand_clock import HandClock

from limner.server.jobs.ids import Ids


def test_ids_sort_as_they_were_made(clock: HandClock) -> None:
    """Also within one millisecond, and when the clock goes back."""
    ids = Ids(clock)
    made = [ids.new() for _ in range(1000)]
    clock.now -= 60
    made += [ids.new() for _ in range(1000)]
    clock.now += 120
    made.append(ids.new())
    assert made == sorted(set(made))


def test_ids_are_uuids_of_version_7(clock: HandClock) -> None:
    """Version, variant and time are where RFC 9562 has them."""
    made = UUID(Ids(clock).new())
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(clock.now * 1000)
