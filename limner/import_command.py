"""``limner import``: workflows of ComfyUI as graphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from limner.comfy.imported import Imported
from limner.comfy.native import to_native
from limner.comfy_graph import ComfyModelsOption, find_imported, use_comfy_models
from limner.engine.document import Document, read_json
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.expand import targets_of
from limner.options import DebugOption, NodesOption, SetOption
from limner.output_file import refuse_other_files, write_output
from limner.request import Request, registry_with
from limner.session import Session
from limner.terminal import err, friendly, print_path, printable, printable_json, tell_left_out


@friendly
def import_workflow(
    workflow: Annotated[
        str, typer.Argument(metavar="WORKFLOW", help="A .json of ComfyUI's editor or of its API, or a PNG it saved.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.json", help="Where to write it; otherwise to stdout.")
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="Rewrite what can be into Limner's own nodes, and say what stays.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="SOURCE", help="Take this model instead, such as tiny.")
    ] = None,
    values: SetOption = None,
    comfy_models: ComfyModelsOption = None,
    nodes: NodesOption = None,
    debug: DebugOption = False,
) -> None:
    """Turn a workflow of ComfyUI into a graph. [cyan]limner run WORKFLOW.json[/] runs one as it is."""
    use_comfy_models(comfy_models)
    if out is not None:
        refuse_other_files(out, ".json", lambda content: b'"limner"' in content[:10_000])
    session = Session(registry=registry_with(nodes))
    found = find_imported(workflow, session.registry)
    if found is None:
        raise _no_workflow(workflow)
    given = [*(values or ()), *([f"model={model}"] if model is not None else [])]
    document = Request(session, found.document, given).changed()
    later = _faults(session, document, is_rewritten=native)
    _tell(found, later)
    if native:
        document, stayed = to_native(document)
        for line in stayed:
            err.print(printable(line, one_line=True), style="dim")
    text = document.to_json()
    if out is None:
        print(printable_json(text), end="")
    else:
        write_output(out, text.encode())
        print_path(out)


def _no_workflow(name: str) -> InputError | GraphError:
    """Why a file holds none: it is not there, it is not JSON, it is a graph already, or it is something else."""
    path = Path(name)
    if not path.exists():
        return InputError(f"there is no file {name}")
    hint = "give a .json that its editor saved or exported for the API, or a PNG that it wrote"
    if path.suffix.lower() == ".json" and path.is_file():
        try:
            raw = read_json(path.read_bytes())
        except GraphError as error:
            return GraphError([replace(fault, message=f"{name}: {fault.message}") for fault in error.faults])
        if isinstance(raw, dict) and "limner" in raw:
            hint = f"it is a graph of Limner's: limner run {name}"
    return InputError(f"{name} holds no workflow of ComfyUI's", hint=hint)


def _faults(session: Session, document: Document, *, is_rewritten: bool) -> list[Fault]:
    """What is to be set before the graph can run.

    Raises GraphError for what no parameter mends, and in a graph that is to be rewritten for what cannot be read.
    """
    mendable = {target for targets in document.parameters.values() for target in targets_of(targets)}
    try:
        session.check(document)
    except GraphError as error:
        can_wait = [fault for fault in error.faults if f"{fault.node}.{fault.path[-1]}" in mendable]
        if len(can_wait) == len(error.faults) and (not is_rewritten or all(map(_is_readable, can_wait))):
            return can_wait
        raise GraphError([_settable(fault) for fault in error.faults]) from error
    return []


def _is_readable(fault: Fault) -> bool:
    """Whether it is of a setting whose value is one of its type, such as the name of a picture that is not here."""
    return fault.path[2:3] == ("settings",) and not fault.kind


def _settable(fault: Fault) -> Fault:
    """A fault of a setting with the option that changes it, where nothing better is said."""
    if fault.hint is not None or len(fault.path) != 4 or fault.path[2] != "settings":
        return fault
    return replace(fault, hint=f"give another with --set {fault.node}.{fault.path[3]}=...")


def _tell(found: Imported, later: Iterable[Fault]) -> None:
    """Say what the graph lacks, without stopping."""
    tell_left_out(found.left_out)
    for fault in later:
        err.print(printable(f"to be set before it runs: {fault}", one_line=True), style="yellow")
