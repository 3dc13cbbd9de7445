"""``limner token``."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

import typer
from rich.text import Text

from limner.engine.errors import InputError
from limner.options import DebugOption
from limner.terminal import err, friendly


@friendly
def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the client is called.")],
    admin: Annotated[bool, typer.Option("--admin", help="It sees and steers the jobs of all.")] = False,
    debug: DebugOption = False,
) -> None:
    """Make a token for a client of limner serve.

    The token goes to stderr, to be given to the client; the line for the file of tokens, which holds only its hash, to
    stdout.
    """
    from limner.server.clients import Client, client_line

    if not re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII):
        raise InputError(f"{name!r} is no name of a client", hint="letters, digits, _, . and -")
    made = secrets.token_urlsafe(32)
    print(client_line(Client(name, admin), made))
    err.print(Text(f"the token of {name}: {made}"))
