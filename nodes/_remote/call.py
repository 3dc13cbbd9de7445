"""One HTTP request: no redirects, no proxies, a bounded answer, and addresses checked when they are connected to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from limner.engine.errors import InputError, RemoteError
from limner.nodes._remote.address import AddressPolicy
from limner.nodes._remote.protocol import MAX_REQUEST_BYTES
from limner.nodes._remote.token import may_be_private

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

CONNECT_TIMEOUT_S: Final = 15.0
MAX_ERROR_BYTES: Final = 4 << 10
"""How much is read of an answer that is an error."""


class TemporaryError(RemoteError):
    """A failure that another try may mend: the line broke, or the service is busy."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message, hint="is the service running there? more retries and a longer timeout_s wait longer")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Service:
    """Whom to ask, and with what."""

    url: str
    allow_private: bool = False
    token: SecretStr | None = None
    resolver: AbstractResolver | None = None
    """Who turns names into addresses; None for the system."""

    def without_token(self, text: str) -> str:
        """A text of the service, fit to be shown: it may have sent back what it got."""
        token = self.token.get_secret_value() if self.token is not None else ""
        return text.replace(token, "***") if token else text


@dataclass(frozen=True)
class Answer:
    """An answer of status 200."""

    headers: Mapping[str, str]
    body: bytes


async def call(
    service: Service, method: Literal["GET", "POST"], path: str, body: object = None, *, max_bytes: int
) -> Answer:
    """Ask once. ``body`` is sent as JSON.

    Raises TemporaryError where another try may help, RemoteError where none will, and InputError where the fault is on
    this side: the token, the address or the request.
    """
    sent = None if body is None else json.dumps(body).encode()
    if sent is not None and len(sent) > MAX_REQUEST_BYTES:
        raise InputError(f"a request has at most {MAX_REQUEST_BYTES} bytes, and the prompt makes it {len(sent)}")
    allow_private = service.allow_private and may_be_private(service.url)
    policy = AddressPolicy(allow_private, is_plain=urlsplit(service.url).scheme != "https")
    try:
        async with (
            _session(service, policy) as session,
            session.request(
                method,
                service.url.rstrip("/") + path if path else service.url,
                data=sent,
                headers=_headers(service, has_body=sent is not None),
                allow_redirects=False,
            ) as response,
        ):
            if response.status != 200:
                raise await _refusal(service, response)
            return Answer(dict(response.headers), await _read(service, response, max_bytes))
    except aiohttp.ClientError as error:  # not chained: some of them hold the request's headers
        raise _broken(service, policy, error) from None


def _session(service: Service, policy: AddressPolicy) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=service.resolver, use_dns_cache=False, force_close=True, limit=1, socket_factory=policy.open_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # what unpacks may be a bomb
        trust_env=False,  # a proxy would connect for us, unchecked
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
    )


def _headers(service: Service, *, has_body: bool) -> dict[str, str]:
    headers = {"User-Agent": "limner", "Accept-Encoding": "identity"}
    if has_body:
        headers["Content-Type"] = "application/json"
    if service.token is not None:
        headers["Authorization"] = f"Bearer {service.token.get_secret_value()}"
    return headers


async def _read(service: Service, response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body, unless it is larger than it can be. Raises RemoteError."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RemoteError(f"{service.url} sends a compressed answer, which was not asked for")
    if (response.content_length or 0) <= max_bytes:
        body = bytearray()
        while chunk := await response.content.readany():
            if len(body) + len(chunk) > max_bytes:
                break
            body += chunk
        else:
            return bytes(body)
    raise RemoteError(
        f"{service.url} sends more than {max_bytes} bytes, which is more than its answer can have",
        hint="is this an encoder, and of the model that it says?",
    )


async def _refusal(service: Service, response: aiohttp.ClientResponse) -> Exception:
    """What an answer means that is not of status 200."""
    status, url = response.status, service.url
    said = await _message(service, response)
    if status in (401, 403):
        what = "refuses the token" if service.token is not None else "wants a token"
        hint = "token_env or token_file names the one to send; LIMNER_TOKEN goes to hosts that LIMNER_ENCODERS lists"
        return InputError(f"{url} {what} ({status}{said})", hint=hint)
    if status == 404:
        return InputError(f"{url} has no encoder (404{said})", hint="give the address without a path, or the protocol")
    if status == 429 or status >= 500:
        return TemporaryError(f"{url} cannot answer now ({status}{said})", retry_after_s=_retry_after(response))
    if 300 <= status < 400:
        return InputError(f"{url} leads elsewhere ({status}), and is not followed", hint="give the address itself")
    if 400 <= status < 500:
        return InputError(f"{url} refuses the request ({status}{said})")
    return RemoteError(f"{url} answers with status {status}")


async def _message(service: Service, response: aiohttp.ClientResponse) -> str:
    """What an error says of itself, after a colon; nothing where it says nothing that can be read."""
    content = bytearray()
    while len(content) < MAX_ERROR_BYTES and (chunk := await response.content.readany()):
        content += chunk
    try:
        message = json.loads(content[:MAX_ERROR_BYTES])["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {service.without_token(message)[:300]}" if isinstance(message, str) else ""


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Seconds that the service asks to wait; dates are not read."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), 3600.0) if said.isascii() and said.isdigit() else 0.0


def _broken(service: Service, policy: AddressPolicy, error: aiohttp.ClientError) -> Exception:
    """What an error of the HTTP library means."""
    url: Any = service.url
    if policy.refused:
        return InputError(
            f"{url}: {policy.refused[0]}",
            hint="set allow_private where that is meant" if not policy.allow_private else None,
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return RemoteError(f"{url} does not prove who it is: {type(error).__name__}", hint="check its certificate")
    if isinstance(error, aiohttp.InvalidURL):
        return InputError(f"{url} is no URL")
    if isinstance(error, aiohttp.ClientConnectorError):
        return TemporaryError(f"{url} cannot be reached: {_reason(error.os_error)}")
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
        return TemporaryError(f"{url} broke off its answer")
    return RemoteError(f"{url} does not answer as HTTP: {type(error).__name__}")


def _reason(error: OSError) -> str:
    """The system's words: asyncio puts its own in their place."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__
