"""Connections that are held open: by those who follow events, and by those who wait for the end of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from limner.server.clients import Client
from limner.server.limits import Limits
from limner.server.problem import Refused


class Streams:
    """How many there are, of each client. Used on the event loop only."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: Counter[str] = Counter()

    @contextmanager
    def held(self, client: Client) -> Iterator[None]:
        """Count one, within. Raises Refused where there are too many, of this client or of all."""
        if self._held[client.name] >= self._limits.streams_of_client:
            message = f"{self._limits.streams_of_client} requests of yours follow or wait already"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, message, headers={"Retry-After": "5"})
        if self._held.total() >= self._limits.streams:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many follow or wait already", headers={"Retry-After": "5"}
            )
        self._held[client.name] += 1
        try:
            yield
        finally:
            self._held[client.name] -= 1
