"""``limner new``: a graph of one's own, made from one that is there."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.expand import GRAPH_TYPE
from limner.engine.user_path import user_path
from limner.nodes._new_file import write_new
from limner.options import DebugOption, NodesOption, SetOption
from limner.request import Request, registry_with
from limner.session import Session
from limner.source import Source, read_source
from limner.terminal import err, friendly, printable

_NAME = re.compile(r"\w[\w-]*")
_MOST_LETTERS: Final = 100


@friendly
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called; or a .json file, to put it there.")],
    source: Annotated[
        str, typer.Option("--from", "-f", metavar="TEMPLATE", help="A template, a graph file, or a picture with one.")
    ],
    values: SetOption = None,
    here: Annotated[bool, typer.Option("--here", help="Write NAME.json in this folder, not in your library.")] = False,
    nodes: NodesOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a graph of your own, made from a template, a graph file or a picture. The file's path goes to stdout."""
    session = Session(registry=registry_with(nodes))
    path = _place(name, session, here=here)
    found = read_source(session, source)
    if found.picture is not None:  # which its own graph may replace, and a template must not
        found = replace(found, document=session.document(source))
    document = _named(_with_values(session, found, values or ()), path.stem)
    document = _moved(document, session, found, path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new([path], document.to_json().encode())
    except FileExistsError:
        raise InputError(f"{path} is there already", hint="choose another name, or delete it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    print(path, flush=True)
    _say_what_next(path, session)


def _place(name: str, session: Session, *, here: bool) -> Path:
    """Where the graph goes. Raises InputError for a name that cannot be one."""
    if name.endswith(".json") or "/" in name or "\\" in name:
        if here:
            raise InputError(f"{name} says where to write already", hint="leave --here out, or name no folder")
        return user_path(name if name.endswith(".json") else f"{name}.json")
    if len(name) > _MOST_LETTERS:
        raise InputError(f"a name has at most {_MOST_LETTERS} letters, and this one {len(name)}", hint="shorten it")
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name for a template", hint="use letters, digits, _ and -")
    return (Path() if here else session.library.own) / f"{name}.json"


def _with_values(session: Session, found: Source, values: list[str] | tuple[str, ...]) -> Document:
    """The graph with settings changed. Raises GraphError for what that makes wrong; what was wrong before may stay."""
    before = _faults(session, found.document, found.beside)
    request = Request(session, found.beside or found.document, values)
    try:
        request.check()
    except GraphError as error:
        if faults := [fault for fault in error.faults if fault not in before]:
            raise GraphError(faults) from None
    return request.document


def _faults(session: Session, document: Document, beside: str | None) -> tuple[Fault, ...]:
    try:
        session.check(document, beside=beside)
    except GraphError as error:
        return error.faults
    return ()


def _named(document: Document, name: str) -> Document:
    return document.model_copy(update={"name": name})


def _moved(document: Document, session: Session, found: Source, folder: Path) -> Document:
    """The graph as it must be written to be in another folder: files that it names as graphs are found from there."""
    if found.beside is None:
        return document
    library = session.library.beside(found.beside)
    templates = set(library.names())
    nodes = dict(document.nodes)
    for node_id, node in nodes.items():
        graph = node.settings.get("graph")
        if node.type == GRAPH_TYPE and isinstance(graph, str) and graph not in templates:
            with suppress(InputError):  # what is not there stays to be mended
                place = os.path.relpath(library.path(graph), folder.resolve())
                nodes[node_id] = node.model_copy(update={"settings": node.settings | {"graph": place}})
    return document.model_copy(update={"nodes": nodes})


def _say_what_next(path: Path, session: Session) -> None:
    is_own = path.parent == session.library.own
    name = shlex.quote(path.stem if is_own else str(path))
    if is_own and any(one.hides_builtin for one in session.library.templates() if one.name == path.stem):
        err.print(f"! it hides the built-in template {path.stem}", style="yellow")
    err.print("try:", style="dim")
    for command in ("run", "show"):
        err.print(f"  limner {command} {printable(name, one_line=True)}", style="dim")
