"""Tokens: taken from the environment or a file when they are sent, and written nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from limner.engine.errors import InputError
from limner.engine.user_path import is_confined, user_path
from limner.nodes._remote.address import AddressPolicy, address_of

DEFAULT_ENV: Final = "LIMNER_TOKEN"
HUB_ENV: Final = "HF_TOKEN"
HOSTS_ENV: Final = "LIMNER_ENCODERS"
"""The hosts, separated by commas, that get ``LIMNER_TOKEN`` although they are public.

In graphs of a server's clients, these are also the only ones on this machine and in private networks.
"""
TOKEN_SUFFIX: Final = ".token"
_HUB_HOST: Final = "huggingface.co"
"""And its subdomains. Under huggingface.cloud, anybody's endpoint may run."""
_ENV_NAME: Final = re.compile(r"LIMNER_TOKEN(_[A-Z0-9_]+)?")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")


def token_faults(token_env: str | None, token_file: str | None, url: str) -> Iterator[tuple[str, str]]:
    """Faults of the settings that name a token, as (setting, message).

    A graph may come from anyone. So it can name only variables and files that are meant to be sent, and not, say, a
    password in another variable; and it cannot choose who gets the tokens that every user may have set. Of a server, it
    can name none.
    """
    if is_confined() and token_env is not None:
        yield "token_env", "is the server's to say: leave it out"
    elif token_env == HUB_ENV:
        if not is_hub(url):
            yield "token_env", f"{HUB_ENV} is sent to {_HUB_HOST} only, over https"
    elif token_env == DEFAULT_ENV:
        if not is_trusted(url):
            yield "token_env", f"{DEFAULT_ENV} is sent to private addresses, and to hosts that {HOSTS_ENV} lists"
    elif token_env is not None and not _ENV_NAME.fullmatch(token_env):
        yield "token_env", f"{token_env} is not sent: name {DEFAULT_ENV}, {DEFAULT_ENV}_... or {HUB_ENV}"
    if token_file is not None and not token_file.endswith(TOKEN_SUFFIX):
        yield "token_file", f"only files that are called *{TOKEN_SUFFIX} are sent"
    if token_env is not None and token_file is not None:
        yield "token_file", "is set, and token_env too: keep one"


def find_token(token_env: str | None, token_file: str | None, url: str) -> SecretStr | None:
    """The token to send, None for none. Raises InputError where a named one is missing, without ever quoting it.

    Where nothing is named, it is ``LIMNER_TOKEN`` for trusted hosts, and ``HF_TOKEN`` for Hugging Face, if that is set.
    """
    if token_file is not None:
        return read_token(user_path(token_file))
    if (name := token_env or _default_env(url)) is None:
        return None
    found = env_token(name)
    if found is None and token_env is not None:
        raise InputError(f"the environment variable {name} is not set", hint="it holds the token of the service")
    return found


def env_token(name: str) -> SecretStr | None:
    """The token in an environment variable; None where it is empty or not set. Raises InputError."""
    found = os.environ.get(name)
    return as_token(found, f"the environment variable {name}") if found else None


def read_token(path: Path) -> SecretStr:
    """The token that a file holds, alone. Raises InputError."""
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(5000)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise InputError(f"{path} holds no token") from None  # the cause would quote what it holds
    return as_token(text.strip("\r\n"), str(path))


def as_token(text: str, where: str) -> SecretStr:
    """A token that a header can carry. Raises InputError that says where it is from, and not what it is."""
    if not _TOKEN.fullmatch(text):
        raise InputError(f"{where} holds no token", hint="one line of printable ASCII without spaces")
    return SecretStr(text)


def is_trusted(url: str) -> bool:
    """Whether ``LIMNER_TOKEN`` may go to a URL: one that only leads to private addresses, or whose host the user lists.

    Over plain http only private addresses are ever connected to, wherever a name leads; over https, public ones too.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_listed(host):
        return True
    if parts.scheme == "http" or host == "localhost":
        return True
    address = address_of(host)
    return address is not None and AddressPolicy(allow_private=True, is_plain=True).fault(address) is None


def may_be_private(url: str) -> bool:
    """Whether a graph may have this machine and private networks asked, if it says so: one of a server's clients may
    not, but for hosts that are listed.
    """
    try:
        return not is_confined() or _is_listed(urlsplit(url).hostname or "")
    except ValueError:  # no URL, which is said elsewhere
        return False


def _is_listed(host: str) -> bool:
    return host in {listed.strip().lower() for listed in os.environ.get(HOSTS_ENV, "").split(",")} - {""}


def _default_env(url: str) -> str | None:
    """The variable whose token a URL gets unasked."""
    if is_trusted(url):
        return DEFAULT_ENV
    return HUB_ENV if is_hub(url) else None


def is_hub(url: str) -> bool:
    """Whether a URL is Hugging Face's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == _HUB_HOST or host.endswith(f".{_HUB_HOST}"))
