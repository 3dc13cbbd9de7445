"""``limner diff``: what two graphs, or two pictures, do not have in common."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated

import typer
from rich.text import Text

from limner.engine.difference import Difference, Side, difference
from limner.engine.errors import GraphError
from limner.engine.flat import flat_document
from limner.options import DebugOption, JsonOption, NodesOption
from limner.replay import Change, changes
from limner.request import registry_with
from limner.session import Session
from limner.source import Source, read_source
from limner.terminal import FAILED, friendly, out, show


@friendly
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A graph file, a template, or a picture that Limner made.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What it is compared with.")],
    nodes: NodesOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what differs between two graphs or pictures. Exit code 0: nothing; 1: something; 2: one cannot be read."""
    from limner.diff_tables import as_data, diff_table

    session = Session(registry=registry_with(nodes))
    first, second = read_source(session, a), read_source(session, b)
    is_flat = first.picture is not None or second.picture is not None
    sides = [_side(session, source, is_flat=is_flat) for source in (first, second)]
    found = difference(sides[0], sides[1], session.registry)
    made = _made(first, second, found)
    if as_json:
        print(json.dumps(as_data(found, made), indent=2))
    elif found or made:
        show(diff_table((a, b), found, made))
    else:
        out.print(Text.assemble(("✓ ", "green"), "they mean the same"))
    if found or made:
        raise typer.Exit(FAILED)


def _side(session: Session, source: Source, *, is_flat: bool) -> Side:
    """A graph to compare. Beside a picture, which carries what ran, its Graph nodes are what they stand for."""
    library = session.library if source.beside is None else session.library.beside(source.beside)
    document = source.document
    if is_flat:
        with suppress(GraphError):  # what cannot run can still be compared as it is
            document = flat_document(session.check(document, beside=source.beside))
    return Side(document, library)


def _made(first: Source, second: Source, found: Difference) -> list[Change]:
    """What two pictures say of their making, but for settings whose change is the graph's."""
    if first.picture is None or second.picture is None:
        return []
    known = {f"{change.node}.{change.place.removeprefix('settings.')}" for change in found.changes}
    return [change for change in changes(first.picture, second.picture) if change.what not in known]
