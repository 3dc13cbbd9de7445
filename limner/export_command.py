"""``limner export``: a graph as a script that does not need Limner."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

import typer

from limner.engine.errors import InputError
from limner.options import DebugOption, DeviceOption, GraphArg, NodesOption, SetOption
from limner.output_file import refuse_other_files, write_output
from limner.request import Request, registry_with
from limner.session import Session
from limner.source import read_source
from limner.terminal import err, friendly, print_path
from limner.versions import software


@friendly
def export(
    graph: GraphArg,
    python: Annotated[bool, typer.Option("--python", help="Write a Python script for diffusers.")] = False,
    out_path: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.py", help="Where to write. Without it: stdout.")
    ] = None,
    values: SetOption = None,
    device: DeviceOption = "auto",
    nodes: NodesOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a graph, or the one inside a picture, as a script that needs only diffusers and makes the same pixels."""
    from limner.nodes._plain.export import export as script_of

    if not python:
        raise InputError("a graph is exported as a Python script", hint="say so with --python")
    if out_path is not None:
        refuse_other_files(out_path, ".py", _is_script)
    session = Session(registry=registry_with(nodes))
    found = read_source(session, graph)
    checked = Request(session, found.beside or found.document, values or ()).check()
    place = session.devices.default if device == "auto" else device
    script = script_of(checked, place, software())
    text = script.render()
    if out_path is None:
        print(text, end="")
    else:
        write_output(out_path, text.encode())
        print_path(out_path)
    for warning in script.warnings:
        err.print(f"! the last bits may differ: {warning}", style="yellow")


def _is_script(content: bytes) -> bool:
    try:
        ast.parse(content)
    except (SyntaxError, ValueError):
        return False
    return True
