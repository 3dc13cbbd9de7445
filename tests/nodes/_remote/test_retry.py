"""When it is tried again, and how long is waited."""

from __future__ import annotations

import asyncio

import pytest

from limner.engine.errors import InputError, RemoteError
from limner.nodes._remote.call import TemporaryError
from limner.nodes._remote.retry import FIRST_WAIT_S, LONGEST_WAIT_S, wait_s, with_retries


def test_waits_grow_and_differ() -> None:
    """Each wait is between half of and all of twice the last one, up to a limit; clients do not come back together."""
    for number in range(12):
        longest = min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S)
        waits = {wait_s(number, 0) for _ in range(50)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)
    assert wait_s(0, retry_after_s=7) >= 7


def run(attempts: list[Exception | str], retries: int, timeout_s: float = 60.0) -> tuple[str, list[str]]:
    left, heard = iter(attempts), list[str]()

    async def attempt() -> str:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return (
        asyncio.run(with_retries(attempt, retries=retries, timeout_s=timeout_s, what="x", on_retry=heard.append)),
        heard,
    )


def test_only_what_may_mend_itself_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.nodes._remote.retry.FIRST_WAIT_S", 0.0)
    busy = TemporaryError("busy")
    assert run([busy, busy, "done"], retries=2) == ("done", ["busy", "busy"])
    with pytest.raises(TemporaryError, match="busy"):
        run([busy, busy, busy], retries=2)
    with pytest.raises(InputError, match="no"):
        run([busy, InputError("no"), "done"], retries=2)


def test_a_long_wait_that_is_asked_for_ends_with_the_time() -> None:
    """A service that says to come back in an hour costs no hour; the error says what it said."""
    with pytest.raises(RemoteError, match=r"did not answer within 0\.05 s; last: busy"):
        run([TemporaryError("busy", retry_after_s=3600), "done"], retries=2, timeout_s=0.05)
