"""The events of a job, each once and in order, however often the line breaks or the server is started again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import aiohttp
from pydantic import ValidationError

from limner.client.answers import JobEvent
from limner.client.http import Http
from limner.client.sse import ServerSent, server_sent
from limner.engine.errors import InputError, RemoteError
from limner.nodes._remote.call import TemporaryError
from limner.nodes._remote.retry import wait_s

LONGEST_WAIT_S: Final = 5.0
_log = logging.getLogger("limner.client")


async def follow(http: Http, job_id: str, after: int, patience_s: float) -> AsyncGenerator[JobEvent, None]:
    """What happened to a job after its event ``after``, and what happens, until it has ended.

    A server that is away is waited for, ``patience_s`` after its last sign. Raises RemoteError, and what else a request
    raises.
    """
    heard, number = time.monotonic(), 0
    while True:
        why, asked_s = "it ends its answers too soon", 0.0
        try:
            async with http.open("GET", f"/v1/jobs/{job_id}/events", query={"after": str(after)}) as response:
                if response.status == 204:
                    return
                async for event in _events(http, response):
                    heard, number = time.monotonic(), 0
                    if event.kind == "gone":
                        raise InputError(f"the server has forgotten job {job_id}")
                    if event.seq is None or event.seq > after:
                        after = event.seq or after
                        yield event
        except TemporaryError as error:
            why, asked_s = error.message, error.retry_after_s
        if time.monotonic() - heard >= patience_s:
            raise RemoteError(
                f"job {job_id} is not heard of: {why}",
                hint="is limner serve running there? It keeps its jobs: ask again when it is",
            )
        if number or why != "it ends its answers too soon":
            _log.warning("job %s: %s; trying again", job_id, why)
            await asyncio.sleep(min(wait_s(number, asked_s), max(LONGEST_WAIT_S, asked_s)))
        number += 1


async def _events(http: Http, response: aiohttp.ClientResponse) -> AsyncIterator[JobEvent]:
    if response.content_type != "text/event-stream":
        raise RemoteError(f"{http.address.url} sends no events", hint="is it limner serve?")
    try:
        async for sent in server_sent(response.content.iter_any()):
            yield _event(sent)
    except (ValueError, ValidationError) as error:
        said = "an event is not as it should be" if isinstance(error, ValidationError) else error
        raise RemoteError(f"{http.address.url}: {said}", hint="is it limner serve, of this version?") from None


def _event(sent: ServerSent) -> JobEvent:
    if sent.kind in ("step", "gone"):
        return JobEvent.model_validate_json(f'{{"kind":"{sent.kind}","body":{sent.data}}}')
    event = JobEvent.model_validate_json(sent.data)
    return event.model_copy(update={"seq": int(sent.id)})
