"""Prompts, as programs send them to ComfyUI, as graphs: what outputs need, and what is wrong with their form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.classes import Classes
from limner.comfy.instead import instead_of
from limner.comfy.names import document_id
from limner.comfy.prompt_nodes import PromptReader, Rename, is_link
from limner.comfy.workflow import is_subgraph
from limner.engine.errors import Fault, GraphError
from limner.engine.findings import Findings

UNKNOWN_TYPE: Final = "unknown_type"
NO_OUTPUTS: Final = "no_outputs"


@dataclass(frozen=True)
class PromptGraph:
    """What a prompt says, as a graph file would; to be checked yet."""

    graph: dict[str, Any]
    faults: list[Fault]
    """What a graph file could not even say."""
    outputs: list[str]
    """The nodes that it is run for, by the client's ids."""


def graph_of(
    prompt: Any, classes: Classes, *, targets: Iterable[str] | None = None, pictures: Rename = str
) -> PromptGraph:
    """The graph of a prompt: its output nodes, or only ``targets``, and all that they need; the rest is left out.

    ``pictures`` says where the picture is that a client calls so. Settings that are their defaults are left out.
    """
    findings = Findings()
    faults = findings.faults
    _check_shape(prompt, classes, findings)
    nodes = {name: node for name, node in prompt.items() if _is_node(node)} if isinstance(prompt, dict) else {}
    wanted = list(nodes) if targets is None else [name for name in targets if isinstance(name, str)]
    faults += [Fault(f"there is no node {name!r} to run", ("targets",)) for name in wanted if name not in nodes]
    outputs = [name for name in wanted if name in nodes and (targets is not None or _is_output(nodes[name], classes))]
    if not outputs and not faults:
        hint = "add a node that saves or shows, such as SaveImage or PreviewImage"
        faults.append(Fault("no node of the prompt gives anything", (), hint, NO_OUTPUTS))
    reader = PromptReader(nodes, classes, pictures, findings)
    for name in _needed(nodes, outputs):
        reader.add(name)
    return PromptGraph({"limner": 1, "nodes": reader.read}, faults, outputs)


def unneeded(prompt: Mapping[str, Any], classes: Classes) -> list[str]:
    """The nodes of classes that nobody knows, and that no output needs which is known.

    None where those outputs show nothing that is computed: what is left would not be what the prompt is for.
    """
    nodes = {name: node for name, node in prompt.items() if _is_node(node)}
    needed = set(_needed(nodes, [name for name, node in nodes.items() if _is_output(node, classes)]))
    found = [classes.get(nodes[name]["class_type"]) for name in needed]
    if not any(one is not None and one.node_type.cls.on_device for one in found):
        return []
    return [
        name
        for name, node in nodes.items()
        if name not in needed and node["class_type"] not in classes and not is_subgraph(node["class_type"])
    ]


def _check_shape(prompt: Any, classes: Classes, findings: Findings) -> None:
    """Find what is no node at all, and classes that nobody knows."""
    if not isinstance(prompt, dict):
        findings.add("a prompt is a JSON object of nodes by their ids", (), None, NO_OUTPUTS)
        return
    for name, node in prompt.items():
        if not _is_node(node):
            message = "a node has a class_type, and inputs by their names"
            findings.add(message, ("nodes", _id_for_faults(name)), None, UNKNOWN_TYPE)
        elif node["class_type"] not in classes:
            findings.hints_left -= 1
            message, hint = _unknown(node["class_type"], classes if findings.hints_left >= 0 else ())
            findings.add(message, ("nodes", _id_for_faults(name), "type"), hint, UNKNOWN_TYPE)


def _unknown(name: str, known: Iterable[str]) -> tuple[str, str | None]:
    """What is said of a class that nobody knows, and what to try."""
    if is_subgraph(name):
        hint = "save it again where the subgraph is known, or export it for the API"
        return f"the workflow lacks the definition of the subgraph {name}", hint
    return f"unknown node type {name[:200]}", instead_of(name, known)


def _is_node(node: Any) -> bool:
    return (
        isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs", {}), dict)
    )


def _id_for_faults(name: str) -> str:
    try:
        return document_id(name)
    except GraphError:
        return name


def _is_output(node: Mapping[str, Any], classes: Classes) -> bool:
    found = classes.get(node["class_type"])
    return found is not None and found.is_output


def _needed(nodes: Mapping[str, Mapping[str, Any]], outputs: Iterable[str]) -> list[str]:
    """The nodes that outputs depend on, as the prompt has them in order."""
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            waiting += [value[0] for value in nodes[name].get("inputs", {}).values() if is_link(value)]
    return [name for name in nodes if name in needed]
