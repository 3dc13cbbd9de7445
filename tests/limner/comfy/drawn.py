"""Workflows in the editor's form, put together from nodes, lines and subgraphs."""

from __future__ import annotations

from typing import Any

from limner.comfy.classes import Classes
from limner.comfy.flatten import Flat, flatten
from limner.engine.registry import Registry

REGISTRY = Registry.installed()
CLASSES = Classes(REGISTRY)


def node(node_id: int, kind: str, *inputs: dict[str, Any], values: Any = (), **rest: Any) -> dict[str, Any]:
    outputs = rest.pop("gives", ["INT"])
    return {
        "id": node_id,
        "type": kind,
        "inputs": list(inputs),
        "outputs": [{"name": name, "type": name} for name in outputs],
        "widgets_values": list(values) if isinstance(values, tuple) else values,
    } | rest


def wired(name: str, link: int | None, kind: str = "INT") -> dict[str, Any]:
    return {"name": name, "type": kind, "link": link, "widget": {"name": name}}


def workflow(nodes: list[Any], links: list[Any], subgraphs: list[Any] | None = None) -> dict[str, Any]:
    return {"nodes": nodes, "links": links, "definitions": {"subgraphs": subgraphs or []}}


def subgraph(name: str, nodes: list[Any], links: list[Any], inputs: list[Any], outputs: int = 1) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "inputNode": {"id": -10},
        "outputNode": {"id": -20},
        "inputs": inputs,
        "outputs": [{"name": "INT", "type": "INT"}] * outputs,
        "nodes": nodes,
        "links": [
            dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot"), one, strict=True)) for one in links
        ],
    }


def flat(raw: dict[str, Any]) -> Flat:
    found = flatten(raw, CLASSES)
    assert found.faults == ()
    return found


def inputs_of(raw: dict[str, Any], node_id: str) -> dict[str, Any]:
    found: dict[str, Any] = flat(raw).prompt[node_id]["inputs"]
    return found
