"""Addresses of services as graphs write them: what is wrong with one, before anything is connected to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from limner.nodes._remote.address import AddressPolicy, address_of


def url_faults(url: str, *, allow_private: bool) -> Iterator[str]:
    """Everything wrong with a URL that can be told without asking anyone. Never repeats what may be a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield "is no URL: give one such as https://encoder.example.org"
        return
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not _is_plain(url):
        yield "is no URL of a service: give one such as https://encoder.example.org"
        return
    if parts.username is not None or parts.password is not None:
        yield "holds a user or a password, which every picture would carry: give a token with token_env or token_file"
    if parts.query or parts.fragment:
        yield "ends in a query or a fragment (? or #): give the address alone"
    if parts.scheme == "http" and not allow_private:
        yield "is http://, which is for private networks only: use https://, or set allow_private"
    elif (fault := _host_fault(parts, allow_private=allow_private)) is not None:
        yield f"{fault}; set allow_private where that is meant"


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url and "\\" not in url


def _host_fault(parts: SplitResult, *, allow_private: bool) -> str | None:
    host = parts.hostname or ""
    if allow_private:
        return None
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host} is this machine"
    address = address_of(host)
    return None if address is None else AddressPolicy().fault(address)
