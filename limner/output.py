"""Where pictures go when the command line says so: ``--out`` changes the graph's own SaveImage nodes."""

from __future__ import annotations

from pathlib import Path

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.parameters import with_values
from limner.engine.user_path import user_path

SAVE_TYPE = "SaveImage"


def redirect(document: Document, target: str) -> Document:
    """The document with its pictures written to ``target``: a file, or a folder (one that exists, or ends in ``/``).

    A file that is named is replaced; in a folder nothing is. Raises GraphError where the graph saves nothing, or
    saves several pictures and one file is named.
    """
    savers = [node_id for node_id, node in document.nodes.items() if node.type == SAVE_TYPE]
    if not savers:
        raise GraphError([Fault(f"--out {target}: {document.name} has no {SAVE_TYPE} node", hint="add one")])
    is_folder = target.endswith(("/", "\\")) or user_path(target).is_dir()
    if not is_folder and len(savers) > 1:
        message = f"--out {target}: {document.name} saves {len(savers)} times ({', '.join(savers)})"
        raise GraphError([Fault(message, hint="name a folder, ending in /")])
    values: dict[str, object] = {}
    for saver in savers:
        old = Path(str(document.nodes[saver].settings.get("path", "image.png"))).name
        values[f"{saver}.path"] = str(Path(target) / old) if is_folder else target
        values[f"{saver}.overwrite"] = not is_folder
    return with_values(document, values)
