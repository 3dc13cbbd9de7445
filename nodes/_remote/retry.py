"""Trying again: only after what may mend itself, at growing and irregular intervals, and never past the time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from limner.engine.errors import RemoteError
from limner.nodes._remote.call import TemporaryError

T = TypeVar("T")

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0


async def with_retries(
    attempt: Callable[[], Awaitable[T]], *, retries: int, timeout_s: float, what: str, on_retry: Callable[[str], None]
) -> T:
    """What ``attempt`` gives, tried up to ``1 + retries`` times within ``timeout_s`` altogether.

    ``on_retry`` hears why the last try failed. Raises the last TemporaryError, RemoteError where time is over, and
    what else ``attempt`` raises, at once.
    """
    last: TemporaryError | None = None
    try:
        async with asyncio.timeout(timeout_s):
            for number in range(retries):
                try:
                    return await attempt()
                except TemporaryError as error:
                    last = error
                on_retry(last.message)
                await asyncio.sleep(wait_s(number, last.retry_after_s))
            return await attempt()
    except TimeoutError:
        because = f"; last: {last.message}" if last is not None else ""
        message = f"{what} did not answer within {timeout_s:g} s{because}"
        raise RemoteError(message, hint="give it more with timeout_s") from None


def wait_s(number: int, retry_after_s: float) -> float:
    """Seconds before another try, ``number`` counted from 0: twice as long each time, half of it by chance.

    What the service asks for is waited at least.
    """
    longest = min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S)
    return max(retry_after_s, 0.0) + random.uniform(longest / 2, longest)
