"""A picture's making as a page for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from limner.engine.context import Provenance
from limner.tables import table_of
from limner.terminal import printable, with_short_hashes

if TYPE_CHECKING:
    from limner.nodes.provenance import Picture

_MAX_NODES: Final = 100
"""How many nodes the table shows."""
_MAX_TEXT: Final = 2000
_MAIN: Final = ("torch", "diffusers", "transformers")


def picture_page(path: Path, picture: Picture) -> RenderableType:
    """What a picture file says of itself; of another program's, what is known of it."""
    head = Text.assemble((_line(path), "bold"), f"  {picture.format}, {picture.width} x {picture.height}")
    if picture.provenance is not None:
        return Group(head, _summary(picture.provenance), "", *_tables(picture.provenance))
    if picture.foreign is None:
        return Group(head, Text("says nothing of how it was made", style="yellow"))
    rows = [("made by", f"{picture.foreign.maker}: {picture.foreign.summary}"), *picture.foreign.details]
    if picture.foreign.maker == "ComfyUI" and picture.format == "PNG":
        rows.append(("import", f"limner import {path}"))
    return Group(head, _facts(rows))


def _summary(provenance: Provenance) -> Table:
    graph = _object(json.loads(provenance.graph))
    nodes = _object(graph.get("nodes"))
    versions = ", ".join(f"{name} {provenance.software[name]}" for name in _MAIN if name in provenance.software)
    devices = [lane for lane in dict.fromkeys(provenance.devices.values()) if lane != "host"]
    on = ", ".join(f"{lane} ({provenance.hardware[lane]})" if lane in provenance.hardware else lane for lane in devices)
    rows = [
        ("graph", f"{graph.get('name', 'graph')}, {len(nodes):,} nodes"),
        ("made by", f"Limner {provenance.software.get('limner', '')}".strip()),
        ("with", versions),
        ("on", on or "no device"),
        ("saved by", provenance.saved_by + _place(provenance.number)),
    ]
    return _facts((name, text) for name, text in rows if text)


def _place(number: int) -> str:
    return f", picture {number} of its batch" if number > 1 else ""


def _tables(provenance: Provenance) -> Iterator[RenderableType]:
    nodes = _object(_object(json.loads(provenance.graph)).get("nodes"))
    settings = table_of("node", "type", "setting", "value", "from")
    for name, node in list(nodes.items())[:_MAX_NODES]:
        for row in _rows(name, _object(node), provenance.resolved.get(name, {})):
            settings.add_row(*row)
    yield settings
    if len(nodes) > _MAX_NODES:
        yield f"and {len(nodes) - _MAX_NODES:,} more nodes: --json has them all"
    if provenance.sources:
        sources = table_of("node", "reads", "which held")
        for name, held in list(provenance.sources.items())[:_MAX_NODES]:
            for source, content in held.items():
                shown = with_short_hashes(_line(content))
                sources.add_row(Text(_line(name), style="cyan"), Text(_line(source)), Text(shown))
        yield ""
        yield sources


def _rows(name: str, node: Mapping[str, Any], resolved: Mapping[str, Any]) -> Iterator[tuple[Text, ...]]:
    """What a node was told, by the graph, a wire, or nobody; what was and is empty is left out."""
    wires = _object(node.get("wires"))
    said = [(setting, value, "") for setting, value in _object(node.get("settings")).items() if setting not in resolved]
    own = [(setting, value, "wire" if setting in wires else "default") for setting, value in resolved.items()]
    first = Text(_line(name), style="cyan"), Text(_line(node.get("type", "")))
    for setting, value, source in said + [row for row in own if row[1] not in ("", [], None)]:
        shown = Text(_value(value), style="dim" if source else "")
        yield (*first, Text(_line(setting)), shown, Text(source, style="dim"))
        first = Text(), Text()


def _facts(rows: Any) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(_shortened(printable(str(text)))))
    return table


def _value(value: Any) -> str:
    return _shortened(printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}... ({len(text):,} characters)"


def _line(value: Any) -> str:
    return printable(str(value), one_line=True)


def _object(value: Any) -> Mapping[str, Any]:
    """A part of a graph that was never checked."""
    return value if isinstance(value, dict) else {}
