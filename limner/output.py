"""Which of a graph's nodes save pictures, and where to when the command line says so."""

from __future__ import annotations

from pathlib import Path

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.expand import targets_of
from limner.engine.parameters import with_values
from limner.engine.user_path import user_path

SAVE_TYPE, TABLE_TYPE = "SaveImage", "SaveTable"


def redirect(document: Document, target: str) -> Document:
    """The document with its pictures written to ``target``: a file, or a folder (one that exists, or ends in ``/``).

    A file that is named is replaced; in a folder nothing is. A table goes to the same folder; beside a named file,
    under its name with an ending of its own. Raises GraphError where the graph saves no picture, or saves several
    times and one file is named.
    """
    pictures, tables = (_of_type(document, kind) for kind in (SAVE_TYPE, TABLE_TYPE))
    if not pictures:
        raise GraphError([Fault(f"--out {target}: {document.name} has no {SAVE_TYPE} node", hint="add one")])
    is_folder = target.endswith(("/", "\\")) or user_path(target).is_dir()
    for savers in (pictures, tables):
        if not is_folder and len(savers) > 1:
            message = f"--out {target}: {document.name} saves {len(savers)} times ({', '.join(savers)})"
            raise GraphError([Fault(message, hint="name a folder, ending in /")])
    values: dict[str, object] = {}
    for saver in (*pictures, *tables):
        default = "image.png" if saver in pictures else "table.md"
        old = Path(str(document.nodes[saver].settings.get("path", default)))
        named = target if saver in pictures else str(Path(target).with_suffix(old.suffix))
        values[f"{saver}.path"] = str(Path(target) / old.name) if is_folder else named
        values[f"{saver}.overwrite"] = not is_folder
    return with_values(document, values)


def redirected(document: Document) -> set[str]:
    """The settings that ``redirect`` sets the paths in."""
    return {f"{saver}.path" for kind in (SAVE_TYPE, TABLE_TYPE) for saver in _of_type(document, kind)}


def only_what_pictures_need(document: Document) -> Document:
    """A graph without what leads to none of its pictures and tables: whatever else it would write, it does not.

    Itself where all of it does, or nothing.
    """
    needed, waiting = set[str](), [*_of_type(document, SAVE_TYPE), *_of_type(document, TABLE_TYPE)]
    while waiting:
        if (name := waiting.pop()) in document.nodes and name not in needed:
            needed.add(name)
            for wires in document.nodes[name].wires.values():
                waiting += [wire.partition(".")[0] for wire in ([wires] if isinstance(wires, str) else wires)]
    if not needed or len(needed) == len(document.nodes):
        return document
    kept = {
        "nodes": {name: node for name, node in document.nodes.items() if name in needed},
        "parameters": {
            name: to
            for name, to in document.parameters.items()
            if all(target.partition(".")[0] in needed for target in targets_of(to))
        },
        "outputs": {name: wire for name, wire in document.outputs.items() if wire.partition(".")[0] in needed},
    }
    return document.model_copy(update=kept)


def _of_type(document: Document, kind: str) -> list[str]:
    return [node_id for node_id, node in document.nodes.items() if node.type == kind]
