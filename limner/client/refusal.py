"""What an answer means that is no success, and a connection that broke: errors of the one tree, with what to try."""

from __future__ import annotations

import os
from typing import Final

import aiohttp
from pydantic import ValidationError

from limner.client.address import Address
from limner.client.answers import FaultInfo, Problem
from limner.engine.errors import Fault, GraphError, InputError, RemoteError
from limner.nodes._remote.call import TemporaryError

MAX_PROBLEM_BYTES: Final = 4 << 20
_BUSY: Final = (429, 502, 503, 504)
"""Not now, but perhaps in a moment."""
_LONGEST_ASKED_S: Final = 60.0


async def refusal(address: Address, response: aiohttp.ClientResponse) -> Exception:
    """The error that an answer stands for."""
    status, url = response.status, address.url
    problem = await _problem(address, response)
    if status == 401:
        what = "refuses the token" if address.token is not None else "wants a token"
        return InputError(f"{url} {what}", hint="LIMNER_TOKEN has it, or a file (--token-file, token_file=)")
    if problem is not None and problem.faults:
        return GraphError(faults_of(problem.faults))
    said = problem.detail if problem is not None else f"status {status}"
    if status in _BUSY:
        return TemporaryError(f"{url} cannot do this now: {said}", retry_after_s=_retry_after(response))
    if 300 <= status < 400:
        return InputError(f"{url} leads elsewhere ({status}), and is not followed", hint="give the address itself")
    if problem is None:
        return RemoteError(f"{url} answers with {said}", hint="is it limner serve, and the address complete?")
    return InputError(said, hint=problem.hint) if status < 500 else RemoteError(f"{url}: {said}", hint=problem.hint)


def faults_of(faults: tuple[FaultInfo, ...]) -> list[Fault]:
    """Faults as local runs raise them."""
    return [Fault(fault.message, fault.path, fault.hint) for fault in faults]


def broken(address: Address, error: aiohttp.ClientError | TimeoutError) -> Exception:
    """What an error of the HTTP library means."""
    url = address.url
    if isinstance(error, aiohttp.ClientSSLError):
        return RemoteError(f"{url} does not prove who it is: {type(error).__name__}", hint="check its certificate")
    if isinstance(error, aiohttp.ClientConnectorError):
        return UnreachableError(f"{url} cannot be reached: {_reason(error.os_error)}")
    if isinstance(error, aiohttp.InvalidURL):
        return InputError(f"{url} is no URL")
    if isinstance(error, TimeoutError):  # some are both
        return TemporaryError(f"{url} stopped answering")
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
        return TemporaryError(f"{url} broke off its answer")
    return RemoteError(f"{url} does not answer as HTTP: {type(error).__name__}", hint="is it limner serve?")


class UnreachableError(TemporaryError):
    """Nothing was sent: whatever it was, it may be tried again."""


async def _problem(address: Address, response: aiohttp.ClientResponse) -> Problem | None:
    """What the server says of it; None where it says nothing that can be read."""
    if response.content_type != "application/problem+json":
        return None
    content = bytearray()
    while len(content) <= MAX_PROBLEM_BYTES and (chunk := await response.content.readany()):
        content += chunk
    try:
        return Problem.model_validate_json(address.without_token(content.decode()))
    except (ValidationError, UnicodeError):
        return None


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Seconds that the server asks to wait; dates are not read."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), _LONGEST_ASKED_S) if said.isascii() and said.isdigit() and len(said) < 10 else 0.0


def _reason(error: OSError) -> str:
    """The system's words: asyncio puts its own in their place."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__
