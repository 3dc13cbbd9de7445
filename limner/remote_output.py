"""Where the files of a job belong on this machine: where a run here would have written them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.engine.document import Document, NodeDocument
from limner.engine.output_folder import leads_out
from limner.engine.registry import Registry
from limner.engine.user_path import user_path
from limner.nodes._new_file import numbered
from limner.nodes._user_pictures import natural

if TYPE_CHECKING:
    from limner.client import File


@dataclass(frozen=True)
class Destination:
    """Where a node's files go. ``there`` is the path in the job's folder, ``here`` the one that the graph names."""

    there: str
    here: str
    overwrite: bool

    def names(self, file: File, number: int | None) -> Iterator[Path]:
        """The names to try for a file; ``number`` is its place in a batch."""
        if file.name.startswith(f"{self.there}/"):  # a folder was written
            return iter([user_path(self.here) / file.name.removeprefix(f"{self.there}/")])
        return numbered(user_path(self.here), number)


def written_there(document: Document, registry: Registry) -> tuple[Document, dict[str, Destination]]:
    """The document with no path that leads out of a job's folder, and by node where its files belong here."""
    nodes, found = dict(document.nodes), dict[str, Destination]()
    for node_id, node in document.nodes.items():
        setting = _path_setting(node, registry)
        if setting is None:
            continue
        here = node.settings.get(setting, registry[node.type].settings[setting].default)
        if not isinstance(here, str):
            continue
        there = f"files-{len(found) + 1}/{Path(here).name}" if leads_out(here) else here
        nodes[node_id] = node.model_copy(update={"settings": node.settings | {setting: there}})
        found[node_id] = Destination(there, here, bool(node.settings.get("overwrite", False)))
    return document.model_copy(update={"nodes": nodes}), found


def _path_setting(node: NodeDocument, registry: Registry) -> str | None:
    """The setting that says where a node writes; None where it writes nothing, or a wire says it."""
    known = registry.get(node.type)
    found = sorted(known.cls.writes_to - node.wires.keys()) if known is not None else []
    return found[0] if found else None


def places(
    destinations: Mapping[str, Destination], files: tuple[File, ...]
) -> Iterator[tuple[str, list[tuple[File, Iterator[Path], bool]]]]:
    """By node, its files with the names to try, in the order of its batch."""
    for node, destination in destinations.items():
        own = sorted((file for file in files if file.node == node), key=lambda file: natural(file.name))
        numbers = [None] if len(own) == 1 else range(1, len(own) + 1)
        yield (
            node,
            [
                (file, destination.names(file, number), destination.overwrite)
                for file, number in zip(own, numbers, strict=True)
            ],
        )
