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
from limner.engine.user_path import user_path

DEFAULT_ENV: Final = "LIMNER_TOKEN"
HUB_ENV: Final = "HF_TOKEN"
TOKEN_SUFFIX: Final = ".token"
_HUB_HOST: Final = "huggingface.co"
"""And its subdomains. Under huggingface.cloud, anybody's endpoint may run."""
_ENV_NAME: Final = re.compile(r"LIMNER_TOKEN(_[A-Z0-9_]+)?")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")


def token_faults(token_env: str | None, token_file: str | None, url: str) -> Iterator[tuple[str, str]]:
    """Faults of the settings that name a token, as (setting, message).

    A graph may come from anyone. So it can name only variables and files that are meant to be sent, and not, say, a
    password in another variable.
    """
    if token_env == HUB_ENV:
        if not is_hub(url):
            yield "token_env", f"{HUB_ENV} is sent to {_HUB_HOST} only, over https"
    elif token_env is not None and not _ENV_NAME.fullmatch(token_env):
        yield "token_env", f"{token_env} is not sent: name {DEFAULT_ENV}, {DEFAULT_ENV}_... or {HUB_ENV}"
    if token_file is not None and not token_file.endswith(TOKEN_SUFFIX):
        yield "token_file", f"only files that are called *{TOKEN_SUFFIX} are sent"
    if token_env is not None and token_file is not None:
        yield "token_file", "is set, and token_env too: keep one"


def find_token(token_env: str | None, token_file: str | None, url: str) -> SecretStr | None:
    """The token to send, None for none. Raises InputError where a named one is missing, without ever quoting it.

    Where nothing is named, it is ``LIMNER_TOKEN``, and for Hugging Face ``HF_TOKEN``, if that is set.
    """
    if token_file is not None:
        return read_token(user_path(token_file))
    name = token_env or (HUB_ENV if is_hub(url) else DEFAULT_ENV)
    found = os.environ.get(name)
    if not found:
        if token_env is None:
            return None
        raise InputError(f"the environment variable {name} is not set", hint="it holds the token of the service")
    return as_token(found, f"the environment variable {name}")


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


def is_hub(url: str) -> bool:
    """Whether a URL is Hugging Face's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == _HUB_HOST or host.endswith(f".{_HUB_HOST}"))
