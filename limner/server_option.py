"""Which server commands mean, and how its client is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.client import Client

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", envvar="LIMNER_SERVER", help="On the [cyan]limner serve[/] there, instead of here."
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="The token for --server; otherwise [cyan]LIMNER_TOKEN[/]."),
]


def open_client(server: str, token_file: Path | None) -> Client:
    """The client of a server. Raises InputError."""
    from limner.client import Client

    return Client(server, token_file=token_file)
