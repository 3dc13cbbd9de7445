"""How the commands that run jobs write their log."""

from __future__ import annotations

from typing import Annotated

import typer

from limner.server.log import LogForm, LogLevel

LogFormOption = Annotated[
    LogForm | None,
    typer.Option("--log", help="What lines of the log are like; otherwise human at a terminal, logfmt elsewhere."),
]
LogLevelOption = Annotated[
    LogLevel, typer.Option("--log-level", help="From which level on; prompts and graphs are said at debug only.")
]
