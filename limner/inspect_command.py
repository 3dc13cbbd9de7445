"""``limner inspect``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group

from limner.engine.errors import InputError
from limner.options import DebugOption, JsonOption
from limner.picture_graph import PICTURES
from limner.terminal import WRONG_INPUT, friendly, printable_json, report, show

if TYPE_CHECKING:
    from limner.nodes.provenance import Picture


@friendly
def inspect(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, or folders of pictures.")],
    graph: Annotated[
        bool, typer.Option("--graph", help="Print the graph of one picture alone, to be kept as a graph file.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say how pictures were made: graph, settings, models, versions, device; also of other programs' pictures."""
    from limner.nodes.provenance import read_picture_story
    from limner.picture_page import picture_page

    if graph:
        _print_graph(images, as_json=as_json)
        return
    rows, code = list[dict[str, Any]](), 0
    for number, path in enumerate(_pictures(images)):
        try:
            picture = read_picture_story(path)
        except InputError as error:
            code = WRONG_INPUT
            if as_json:
                rows.append({"path": str(path), "error": error.message})
            else:
                report(error)
            continue
        if as_json:
            rows.append({"path": str(path)} | _as_data(picture))
        else:
            show(picture_page(path, picture) if not number else Group("", picture_page(path, picture)))
    if as_json:
        print(_json(rows))
    if code:
        raise typer.Exit(code)


def _print_graph(images: list[Path], *, as_json: bool) -> None:
    from limner.nodes.provenance import read_provenance

    if len(images) > 1 or as_json:
        raise InputError("--graph prints one graph and nothing else", hint="name one picture, and leave --json out")
    print(_json(json.loads(read_provenance(images[0]).graph)))


def _json(value: Any) -> str:
    """As people read it, in their own script, and safe to print."""
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False))


def _pictures(named: list[Path]) -> Iterator[Path]:
    """The files, and those of folders in order of their names. Raises InputError for a folder without pictures."""
    for path in named:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES and file.is_file())
        if not found:
            raise InputError(f"{path} has no pictures", hint=f"those end in {', '.join(PICTURES)}")
        yield from found


def _as_data(picture: Picture) -> dict[str, Any]:
    provenance, foreign = picture.provenance, picture.foreign
    return {
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "provenance": None if provenance is None else asdict(provenance) | {"graph": json.loads(provenance.graph)},
        "foreign": None if foreign is None else asdict(foreign),
    }
