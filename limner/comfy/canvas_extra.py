"""What a workflow carries of a document that neither its nodes nor its drawing say, and what of that still holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limner.comfy.classes import Classes
from limner.engine.document import Document, NodeDocument, parse
from limner.engine.expand import targets_of

HEAD = ("name", "description", "parameters", "outputs")
"""Parts of a document that are not its nodes."""


def extra_of(document: Document, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What the editor keeps for us. ``drawn`` are the sizes of nodes, so that a size which somebody chose is known."""
    head = document.model_dump(include={*HEAD, "layout"}, exclude_defaults=True)
    return head | {"nodes": {name: _written(node) for name, node in document.nodes.items()}, "drawn": dict(drawn)}


def _written(node: NodeDocument) -> list[str]:
    """What is said of a node, in the order of the file: settings, also where they are the default, and wires."""
    lists = (f"{name}[]" if isinstance(wire, list) else name for name, wire in node.wires.items())
    return [*node.settings, *lists]


def as_written(nodes: Mapping[str, Any], extra: Mapping[str, Any], classes: Classes) -> dict[str, Any]:
    """The nodes in the order of their file, each with its settings in theirs, and with the defaults that were said."""
    said = extra.get("nodes")
    known = said if isinstance(said, dict) else {}
    order = [name for name in known if name in nodes]
    return {name: _node_as_written(nodes[name], known.get(name), classes) for name in dict.fromkeys([*order, *nodes])}


def _node_as_written(node: Mapping[str, Any], said: Any, classes: Classes) -> dict[str, Any]:
    found = classes.of_type(node["type"])
    if not isinstance(said, list) or found is None:
        return dict(node)
    settings, wires = dict(node.get("settings", {})), dict(node.get("wires", {}))
    names = [name for name in said if isinstance(name, str)]
    before = {
        name: settings.get(name, found.defaults.get(name))
        for name in names
        if name in settings or (name in found.defaults and name not in wires)
    }
    plain = {name: wires[name] for name in (one.removesuffix("[]") for one in names) if name in wires}
    out = {
        "settings": before | settings,
        "wires": {name: _as_text(wires[name], name in names) for name in plain | wires},
    }
    return {**node, **{name: part for name, part in out.items() if part}}


def _as_text(wire: Any, was_text: bool) -> Any:
    return wire[0] if was_text and isinstance(wire, list) and len(wire) == 1 else wire


def head_of(extra: Mapping[str, Any], nodes: Mapping[str, Any], classes: Classes) -> dict[str, Any]:
    """Name, description, parameters and outputs, as far as what they point to is there."""
    head = {name: extra[name] for name in HEAD if name in extra and _is_sound(name, extra[name])}
    if "parameters" in head:
        head["parameters"] = dict(_parameters(head["parameters"], nodes, classes))
    if "outputs" in head:
        head["outputs"] = {name: wire for name, wire in head["outputs"].items() if _is_output(wire, nodes, classes)}
    return {name: part for name, part in head.items() if part or part == ""}


def _is_sound(name: str, part: Any) -> bool:
    return not parse({"limner": 1, "nodes": {}, name: part})[1]


def _parameters(given: Mapping[str, Any], nodes: Mapping[str, Any], classes: Classes) -> Iterator[tuple[str, Any]]:
    for name, targets in given.items():
        left = [one for one in targets_of(targets) if _is_target(one, nodes, classes)]
        if left:
            yield name, left if isinstance(targets, list) else left[0]


def _is_target(target: str, nodes: Mapping[str, Any], classes: Classes) -> bool:
    node, _, name = target.partition(".")
    found = classes.of_type(nodes[node]["type"]) if node in nodes else None
    return found is not None and (name in found.settings or name in found.node_type.inputs)


def _is_output(wire: str, nodes: Mapping[str, Any], classes: Classes) -> bool:
    node, _, port = wire.partition(".")
    found = classes.of_type(nodes[node]["type"]) if node in nodes else None
    return found is not None and (not port or port in [one.name for one in found.node_type.outputs])
