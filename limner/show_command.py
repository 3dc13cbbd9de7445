"""``limner show``: a graph as a tree in the terminal, or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from limner.drawing import drawing_of
from limner.options import DebugOption, GraphArg, NodesOption, SetOption
from limner.output_file import refuse_other_files, write_output
from limner.request import Request, registry_with
from limner.session import Session
from limner.source import read_source
from limner.terminal import friendly, out, print_path, printable


@friendly
def show(
    graph: GraphArg,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE.svg", help="Draw it as a picture, there.")] = None,
    values: SetOption = None,
    nodes: NodesOption = None,
    debug: DebugOption = False,
) -> None:
    """Draw a graph, or the one inside a picture: from its sources to its goals, with what differs from defaults."""
    if svg is not None:
        refuse_other_files(svg, ".svg", lambda content: b"<svg" in content[:10_000])
    session = Session(registry=registry_with(nodes))
    found = read_source(session, graph)
    document = Request(session, found.beside or found.document, values or ()).changed()
    library = session.library if found.beside is None else session.library.beside(found.beside)
    drawing = drawing_of(document, session.registry, library)
    if svg is None:
        from limner.tree import tree_lines

        head = Text(printable(drawing.name, one_line=True), style="bold")
        out.print(head.append(f"  {printable(drawing.description, one_line=True)}", style="not bold dim"))
        for line in tree_lines(drawing):
            out.print(line)
        return
    from limner.svg import svg_of

    write_output(svg, svg_of(drawing).encode())
    print_path(svg)
