"""The commands that look and run nothing: validate, nodes, schema."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from limner.engine.document import schema
from limner.engine.errors import GraphError, InputError, suggest
from limner.options import DebugOption, GraphArg, JsonOption, NodesOption, SetOption
from limner.request import Request, faults_as_data, registry_with
from limner.session import Session
from limner.terminal import friendly, out, show


@friendly
def validate(
    graph: GraphArg,
    values: SetOption = None,
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a graph without loading anything. Every fault is reported at once."""
    session = Session(registry=registry_with(nodes))
    try:
        request = Request(session, graph, values or ())
        checked = request.check()
    except GraphError as error:
        if as_json:
            out.print_json(data={"graph": graph, "faults": faults_as_data(error)})
        raise
    name = request.document.name
    if as_json:
        out.print_json(data={"graph": graph, "name": name, "nodes": len(checked.nodes), "faults": []})
    else:
        out.print(Text.assemble(("✓ ", "green"), (name, "bold"), f": {len(checked.nodes)} nodes, no faults"))


@friendly
def list_nodes(
    type_name: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Show one node in full.")] = None,
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the nodes, or show one: its inputs, outputs and settings."""
    from limner.graph_node import GRAPH_NODE
    from limner.tables import node_page, nodes_lists

    known = {**registry_with(nodes), GRAPH_NODE.name: GRAPH_NODE}
    if type_name is not None and type_name not in known:
        raise InputError(f"there is no node type {type_name}", hint=suggest(type_name, known))
    chosen = list(known.values()) if type_name is None else [known[type_name]]
    if as_json:
        described = [node.describe() for node in chosen]
        out.print_json(data=described if type_name is None else described[0])
    else:
        show(nodes_lists(chosen) if type_name is None else node_page(chosen[0]))


@friendly
def print_schema(debug: DebugOption = False) -> None:
    """Print the JSON schema of graph files."""
    out.print_json(data=schema())
