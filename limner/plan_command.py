"""``limner plan``: where each node runs and what it takes, for this machine or another one, before anything loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from limner.comfy_graph import ComfyModelsOption, use_comfy_models
from limner.engine.document import Document
from limner.engine.errors import GraphError, InputError
from limner.engine.plan import Plan
from limner.engine.remedies import Remedy
from limner.memory_option import MemoryOption, read_memory
from limner.options import DebugOption, DeviceOption, GraphArg, JsonOption, NodesOption, SetOption
from limner.output_file import write_output
from limner.plan_data import plan_as_data
from limner.request import Request, faults_as_data, registry_with
from limner.session import Session, machine_with
from limner.terminal import FAILED, err, friendly, out, show


@friendly
def plan(
    graph: GraphArg,
    values: SetOption = None,
    device: DeviceOption = "auto",
    memory: MemoryOption = None,
    nodes: NodesOption = None,
    comfy_models: ComfyModelsOption = None,
    apply: Annotated[
        Path | None,
        typer.Option(metavar="OUT.json", help="Write the graph as asked for, with the first change that makes it fit."),
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show where each node will run and what it takes, before anything loads; --memory plans for another machine."""
    use_comfy_models(comfy_models)
    given, faults = read_memory(memory or ())
    devices = machine_with(given) if given else None
    session = Session(registry=registry_with(nodes), device=device, budget_bytes=given, devices=devices)
    try:
        request = Request(session, graph, values or (), faults=faults)
        made = request.plan(is_to_run=False)
    except GraphError as error:
        if as_json:
            out.print_json(data={"graph": graph, "faults": faults_as_data(error)})
        raise
    remedies = session.remedies_of(made)
    if as_json:
        out.print_json(data=plan_as_data(request.document.name, made, remedies))
    else:
        _show(made, remedies)
    fits = made.memory is None or made.memory.fits
    if apply is not None and (fits or remedies):
        _write(apply, request.document if fits else remedies[0].document)
    if not fits:
        raise typer.Exit(FAILED)


def _show(made: Plan, remedies: Sequence[Remedy]) -> None:
    from limner.plan_tables import plan_page, shortfall

    show(plan_page(made))
    for line in shortfall(made, remedies):
        err.print(line)


def _write(path: Path, document: Document) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder", hint="name a file, such as graph.json")
    write_output(path, document.to_json().encode())
    err.print(f"{path} is written")
