"""Where a server is, and the token for it: taken from one place, sent only where nobody else can read it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from limner.engine.errors import InputError
from limner.nodes._remote.address import address_of
from limner.nodes._remote.token import DEFAULT_ENV, as_token, env_token, read_token

SERVER_ENV: Final = "LIMNER_SERVER"
DEFAULT_URL: Final = "http://127.0.0.1:8764"


@dataclass(frozen=True)
class Address:
    """Whom to ask, and with what. ``url`` has no slash at its end."""

    url: str
    token: SecretStr | None = None

    def without_token(self, text: str) -> str:
        """A text of the server, fit to be shown: it may have sent back what it got."""
        return text.replace(self.token.get_secret_value(), "***") if self.token is not None else text


def find_address(
    url: str | None = None, token: str | SecretStr | None = None, token_file: str | Path | None = None
) -> Address:
    """The server at ``url``, otherwise at ``LIMNER_SERVER``, otherwise on this machine.

    The token is the one given, or what the file holds, or ``LIMNER_TOKEN``; it may be none. Over plain http it goes to
    this machine only. Raises InputError.
    """
    url = (url or os.environ.get(SERVER_ENV) or DEFAULT_URL).strip()
    parts = _split(url)
    found, where = _find_token(token, token_file)
    if found is not None and parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise InputError(
            f"{url}: over http the token ({where}) could be read on the way",
            hint=f"use https://, or a tunnel: ssh -L 8764:localhost:8764 {parts.hostname}, and http://localhost:8764",
        )
    return Address(url.rstrip("/"), found)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InputError(f"{url!r} is no URL", hint=f"for example {DEFAULT_URL}") from None
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "the server's URL holds a user or a password", hint="a token says who asks, apart from the URL"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"{url!r} is no server", hint=f"for example {DEFAULT_URL} or https://limner.example.org")
    return parts


def _find_token(token: str | SecretStr | None, file: str | Path | None) -> tuple[SecretStr | None, str]:
    """The token, and where it is from."""
    if token is not None and file is not None:
        raise InputError("a token is given, and a file of one", hint="keep one")
    if token is not None:
        text = token.get_secret_value() if isinstance(token, SecretStr) else token
        return as_token(text, "what was given"), "as it was given"
    if file is not None:
        return read_token(Path(file).expanduser()), f"in {file}"
    return env_token(DEFAULT_ENV), f"in {DEFAULT_ENV}"


def _is_this_machine(host: str) -> bool:
    address = address_of(host)
    return address.is_loopback if address is not None else host == "localhost"
