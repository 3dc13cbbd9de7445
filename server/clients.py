"""Who may ask: clients by their tokens. Of a token only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from limner.engine.errors import InputError
from limner.nodes._remote.token import as_token

_LINE: Final = re.compile(r"(?P<name>[\w.-]{1,64})\s+sha256:(?P<digest>[0-9a-f]{64})(?P<admin>\s+admin)?", re.ASCII)
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Client:
    """One who hands in jobs. An admin sees and steers those of all, and the queue."""

    name: str
    is_admin: bool = False

    @property
    def sees(self) -> str | None:
        """Whose jobs it may see: its own; None is everybody's."""
        return None if self.is_admin else self.name


LOCAL: Final = Client("local", is_admin=True)
"""Whoever asks where there are no tokens: only this machine can."""


class Clients:
    """Clients by the SHA-256 of their tokens."""

    def __init__(self, by_digest: Iterable[tuple[bytes, Client]]) -> None:
        self._by_digest = tuple(by_digest)

    @classmethod
    def single(cls, token: SecretStr) -> Clients:
        """One client, who may do everything."""
        return cls([(_digest(token.get_secret_value()), LOCAL)])

    @property
    def are_admins(self) -> bool:
        """Whether each may do everything."""
        return all(client.is_admin for _, client in self._by_digest)

    def find(self, token: str) -> Client | None:
        """Whose token this is. The time it takes tells nothing, not even how much of a token was right."""
        given, found = _digest(token), None
        for digest, client in self._by_digest:  # all of them, also after one was found
            if hmac.compare_digest(given, digest):
                found = client
        return found


def read_clients(path: Path) -> Clients:
    """The clients in a file: a token alone, or lines such as ``anna sha256:... admin``. Raises InputError."""
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(_MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise InputError(f"{path} holds no token") from None  # the cause would quote what it holds
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if len(lines) == 1 and not re.search(r"\s", lines[0][1]):
        return Clients.single(as_token(lines[0][1], str(path)))
    return Clients(_listed(path, lines))


def _listed(path: Path, lines: Iterable[tuple[int, str]]) -> list[tuple[bytes, Client]]:
    found: dict[bytes, Client] = {}
    for number, line in lines:
        if (parts := _LINE.fullmatch(line)) is None:
            raise InputError(
                f"{path}, line {number}: is no client",
                hint="one a line: NAME sha256:HASH, and admin behind it for who may see all; limner token makes one",
            )
        digest = bytes.fromhex(parts["digest"])
        if digest in found:
            raise InputError(f"{path}, line {number}: has the token of {found[digest].name}", hint="give each its own")
        found[digest] = Client(parts["name"], is_admin=parts["admin"] is not None)
    if not found:
        raise InputError(f"{path} holds no token", hint="limner token NAME makes one")
    return list(found.items())


def client_line(client: Client, token: str) -> str:
    """A client as ``read_clients`` takes it."""
    return f"{client.name} sha256:{_digest(token).hex()}" + (" admin" if client.is_admin else "")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
