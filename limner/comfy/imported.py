"""A workflow of ComfyUI, or a prompt of its clients, as a graph of ours that people read, change and run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from limner.comfy.canvas_graph import graph_file
from limner.comfy.classes import Classes
from limner.comfy.flatten import Flat, flatten
from limner.comfy.import_layout import layout_of
from limner.comfy.import_parameters import parameters_of
from limner.comfy.names import client_id
from limner.comfy.own_ids import own_ids
from limner.comfy.prompt import UNKNOWN_TYPE, PromptGraph, graph_of, unneeded
from limner.comfy.read_workflow import is_ours, is_workflow
from limner.engine.check import check
from limner.engine.document import Document, parse
from limner.engine.errors import Fault, GraphError
from limner.engine.registry import Registry


@dataclass(frozen=True)
class Imported:
    """A graph, and what of the workflow is not in it."""

    document: Document
    left_out: tuple[str, ...]
    """Tools of the editor, and nodes of unknown classes that no output needs which is known: by class and id."""
    origins: Mapping[str, str]
    """By the id of a node, how the workflow calls it: ``75:74 (CLIPTextEncode)``."""

    def located(self, faults: Iterable[Fault]) -> list[Fault]:
        """Faults of the graph, each with the place in the workflow that it comes from."""
        return [replace(fault, path=self._place(fault.path)) for fault in faults]

    def _place(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if len(path) < 2 or path[0] != "nodes" or str(path[1]) not in self.origins:
            return path
        return ("nodes", self.origins[str(path[1])], *path[2:])


def find_prompt(raw: Any) -> dict[str, Any] | None:
    """The prompt that parsed JSON is, or holds as what a client sends; None where it is none."""
    held = raw.get("prompt") if isinstance(raw, dict) else None
    return next((found for found in (raw, held) if _is_prompt(found)), None)


def _is_prompt(raw: Any) -> bool:
    nodes = list(raw.values()) if isinstance(raw, dict) else []
    return bool(nodes) and all(isinstance(node, dict) and "class_type" in node for node in nodes)


def is_from_comfyui(raw: Any) -> bool:
    """Whether parsed JSON is a workflow of ComfyUI's in any of its forms, and no graph of ours."""
    return is_workflow(raw) or find_prompt(raw) is not None


def import_graph(
    raw: Any, registry: Registry, *, name: str = "imported", pictures: Callable[[str], str] = str
) -> Imported:
    """The graph of parsed JSON of which ``is_from_comfyui`` holds; ``pictures`` says where the one of a name lies.

    Pictures are saved by a SaveImage of ours. Raises GraphError with everything that cannot be mapped, by the
    workflow's own ids and classes; what is wrong with settings that can be mapped is for the check to say.
    """
    classes = Classes(registry)
    flat = flatten(raw, classes) if is_workflow(raw) else Flat(find_prompt(raw) or {})
    was_ours = is_ours(raw)
    if not was_ours:
        flat = _without(flat, unneeded(flat.prompt, classes))
    read = graph_of(flat.prompt, classes, targets=flat.prompt if was_ours else None, pictures=pictures)
    nodes = read.graph["nodes"]
    origins = {node_id: _origin(node_id, flat.prompt) for node_id in nodes}
    before = Imported(Document(nodes={}), flat.left_out, origins)
    if flat.faults or read.faults:
        raise GraphError(before.located(_together([*flat.faults, *read.faults, *_further(read, registry)])))
    if was_ours:
        return replace(before, document=_parsed({"name": name, **graph_file(nodes, flat.prompt, raw, classes)}))
    ids = own_ids({node_id: node["type"] for node_id, node in nodes.items()}, {})
    document = _parsed({"limner": 1, "name": name, "nodes": _renamed(_simple_loras(nodes), ids)})
    labels = {(ids[node], setting): label for (node, setting), label in _own(flat.labels, ids).items()}
    document = document.model_copy(
        update={
            "parameters": parameters_of(document, labels),
            "layout": layout_of({ids[node]: (path, at) for node, (path, at) in _places(flat, ids).items()}),
        }
    )
    return Imported(document, flat.left_out, {ids[node]: origin for node, origin in origins.items()})


def _without(flat: Flat, names: Sequence[str]) -> Flat:
    """A prompt without some of its nodes, which are said to be left out."""
    gone = set(names)
    said = tuple(f"{flat.prompt[name]['class_type']} {name}" for name in names)
    prompt = {name: node for name, node in flat.prompt.items() if name not in gone}
    return replace(flat, prompt=prompt, left_out=(*flat.left_out, *said))


def _together(faults: Iterable[Fault]) -> list[Fault]:
    """One fault for all nodes of a class that nobody knows, at the first of them."""
    faults = list(faults)
    counts = Counter(fault.message for fault in faults if fault.kind == UNKNOWN_TYPE)
    found: dict[object, Fault] = {}
    for fault in faults:
        count = counts[fault.message]
        more = replace(fault, message=f"{fault.message}, of {count} nodes") if count > 1 else fault
        found.setdefault(fault.message if count else fault, more)
    return list(found.values())


def _parsed(raw: Any) -> Document:
    document, faults = parse(raw)
    if document is None or faults:
        raise GraphError(faults)
    return document


def _further(read: PromptGraph, registry: Registry) -> Iterable[Fault]:
    """What else is wrong, of nodes of which nothing is said yet."""
    said = {fault.node for fault in read.faults}
    try:
        check(read.graph, registry)
    except GraphError as error:
        return [fault for fault in error.faults if fault.node is not None and fault.node not in said]
    return ()


def _origin(node_id: str, prompt: Mapping[str, Any]) -> str:
    name = client_id(node_id)
    return f"{name} ({prompt[name]['class_type']})"


def _own(labels: Mapping[tuple[str, str], str], ids: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """The labels by our ids."""
    known = {client_id(node): node for node in ids}
    return {(known[node], setting): label for (node, setting), label in labels.items() if node in known}


def _places(flat: Flat, ids: Mapping[str, str]) -> dict[str, tuple[str, tuple[float, float]]]:
    """The canvas of each node, and where it stands there."""
    return {
        node: (client_id(node).rpartition(":")[0], flat.positions[client_id(node)])
        for node in ids
        if client_id(node) in flat.positions
    }


def _renamed(nodes: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    return {
        ids[node_id]: _saving(node)
        | {"wires": {port: _wire(wire, ids) for port, wire in node.get("wires", {}).items()}}
        for node_id, node in nodes.items()
    }


def _simple_loras(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """LoraLoader as LoraLoaderModelOnly, which is the same: the text encoder goes past it.

    Where none comes in and one is to go out, it stays: that one is missing is then for the check to say.
    """
    used = {wire for node in nodes.values() for wire in node.get("wires", {}).values() if isinstance(wire, str)}
    loaders = {
        name
        for name, node in nodes.items()
        if node["type"] == "ComfyLoraLoader" and ("clip" in node.get("wires", {}) or f"{name}.clip" not in used)
    }
    found = {}
    for name, node in nodes.items():
        wires = {port: _past(wire, loaders, nodes) for port, wire in node.get("wires", {}).items()}
        if name in loaders:
            settings = {key: value for key, value in node.get("settings", {}).items() if key != "strength_clip"}
            wires = {port: wire for port, wire in wires.items() if port not in ("clip", "strength_clip")}
            node = node | {"type": "ComfyLoraLoaderModelOnly", "settings": settings}
        found[name] = node | {"wires": wires}
    return found


def _past(wire: Any, loaders: Collection[str], nodes: Mapping[str, Any]) -> Any:
    """A wire that begins where the one of a LoraLoader's output leads to."""
    if isinstance(wire, list):
        return [_past(one, loaders, nodes) for one in wire]
    for _ in loaders:
        source, _, output = wire.partition(".")
        if source not in loaders:
            break
        if output == "model":
            return source
        wire = nodes[source].get("wires", {}).get("clip", wire)
    return wire


def _saving(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node, in the place of ComfyUI's SaveImage ours: commands know it, and can send its pictures elsewhere.

    One whose prefix is wired stays: ours has no such input.
    """
    if node["type"] != "ComfySaveImage" or "filename_prefix" in node.get("wires", {}):
        return dict(node)
    prefix = node.get("settings", {}).get("filename_prefix", "ComfyUI")
    return {"type": "SaveImage", "settings": {"path": f"outputs/{prefix}.png"}}


def _wire(wire: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(wire, list):
        return [_wire(one, ids) for one in wire]
    source, dot, output = wire.partition(".")
    return f"{ids[source]}{dot}{output}"
