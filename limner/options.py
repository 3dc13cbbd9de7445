"""Options that several commands share, so that they are called the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GraphArg = Annotated[
    str, typer.Argument(metavar="GRAPH", help="A graph file, a picture that carries one, or the name of a template.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NAME=VALUE", help="A parameter, or any setting as [cyan]node.setting[/]."),
]
NodesOption = Annotated[
    list[Path] | None, typer.Option("--nodes", metavar="FILE.py", help="More nodes, from a Python file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
CacheDirOption = Annotated[
    Path | None,
    typer.Option("--cache-dir", metavar="DIR", envvar="LIMNER_CACHE_DIR", help="Where finished nodes are kept."),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Keep nothing on disk, and read nothing from it.")]
DeviceOption = Annotated[
    str, typer.Option("--device", "-d", metavar="NAME", help="For nodes that name none: cpu, cuda:0, mps.")
]
