"""Requests to one server: bounded in bytes and time, tried again where that is safe, never led elsewhere."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from limner.client.address import Address
from limner.client.refusal import UnreachableError, broken, refusal
from limner.engine.errors import RemoteError
from limner.nodes._remote.call import TemporaryError
from limner.nodes._remote.retry import with_retries

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

CONNECT_S: Final = 15.0
SILENCE_S: Final = 75.0
"""How long a server may say nothing: it gives up itself after 60 seconds, and a stream has a sign of life every 20."""
MAX_JSON_BYTES: Final = 64 << 20
_HINT: Final = "is limner serve running there, and the port right?"
_UNSURE: Final = "whether it was done is not known: look before it is asked again"

_log = logging.getLogger("limner.client")

Method = Literal["GET", "POST"]


class Http:
    """The connections to one server. Used on one event loop."""

    def __init__(self, address: Address, *, timeout_s: float, retries: int) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._retries = retries
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        model: type[M],
        method: Method,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
        is_repeatable: bool = True,
    ) -> M:
        """What a route answers. ``body`` is sent as JSON, or as it is where it is bytes.

        It is tried again where the line breaks or the server is busy, unless ``is_repeatable`` is false and the server
        may have heard it. ``key`` makes the server do it once. Raises the errors of ``refusal``, RemoteError.
        """
        sent = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {} if sent is None else {"Content-Type": _media_type(body)}
        headers |= {} if key is None else {"Idempotency-Key": key}

        async def once() -> bytes:
            async with self.open(method, path, query=query, data=sent, headers=headers) as response:
                return await self._read(response, MAX_JSON_BYTES)

        return self._parse(model, await self.retried(once, is_repeatable=is_repeatable))

    async def tell(self, path: str) -> None:
        """Have something done whose answer is empty, and that is the same when it is done twice."""

        async def once() -> None:
            async with self.open("POST", path):
                pass

        await self.retried(once)

    async def retried(self, once: Callable[[], Awaitable[T]], *, is_repeatable: bool = True) -> T:
        """What ``once`` gives, tried again where that may help. Raises RemoteError where it does not."""

        async def attempt() -> T:
            try:
                return await once()
            except TemporaryError as error:
                if is_repeatable or isinstance(error, UnreachableError):
                    raise
                raise RemoteError(error.message, hint=_UNSURE) from None

        def tell(why: str) -> None:
            _log.warning("%s; trying again", why)

        what = self.address.url
        try:
            return await with_retries(
                attempt, retries=self._retries, timeout_s=self._timeout_s, what=what, on_retry=tell
            )
        except TemporaryError as error:
            raise RemoteError(error.message, hint=_HINT) from None

    @asynccontextmanager
    async def open(
        self,
        method: Method,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer whose body is still to be read. Raises TemporaryError where another try may help."""
        try:
            async with self._connections().request(
                method,
                self.address.url + path,
                params=query,
                data=data,
                headers={**self._headers(), **(headers or {})},
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    raise await refusal(self.address, response)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:  # not chained: some of them hold the request's headers
            raise broken(self.address, error) from None

    async def close(self) -> None:
        """Let the connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # what unpacks may be a bomb
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S),
            )
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": "limner", "Accept": "*/*", "Accept-Encoding": "identity"}
        if (token := self.address.token) is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        return headers

    async def _read(self, response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
        """The body, unless it is larger than an answer is. Raises RemoteError."""
        body = bytearray()
        while (response.content_length or 0) <= max_bytes and len(body) <= max_bytes:
            if not (chunk := await response.content.readany()):
                return bytes(body)
            body += chunk
        raise RemoteError(f"{self.address.url} sends more than {max_bytes} bytes", hint="is it limner serve?")

    def _parse(self, model: type[M], body: bytes) -> M:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "its answer"
            raise RemoteError(
                f"{self.address.url} does not answer as limner serve: {where}: {first['msg']}"[:500],
                hint="is it limner serve, of this version?",
            ) from None


def _media_type(body: object) -> str:
    return "application/octet-stream" if isinstance(body, bytes) else "application/json"
