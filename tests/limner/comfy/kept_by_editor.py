"""What the editor makes of a workflow, as far as we count on it: what it keeps, and what it sends to be run."""

from __future__ import annotations

import json
import struct
from typing import Any

from limner.comfy.class_info import Here, class_info
from limner.comfy.classes import Classes
from limner.engine.order import find_order


def kept(workflow: dict[str, Any]) -> dict[str, Any]:
    """The workflow as the editor saves it again: places are numbers of four bytes, colours are said."""
    out: dict[str, Any] = json.loads(json.dumps(workflow))
    for node in out["nodes"]:
        node["pos"], node["size"] = (_in_four_bytes(node[part]) for part in ("pos", "size"))
        node["flags"] = node.get("flags", {})
    for group in out["groups"]:
        group["bounding"] = _in_four_bytes(group["bounding"])
    out["extra"]["ds"] = {"scale": 1, "offset": [0, 0]}
    return out


def _in_four_bytes(numbers: list[float]) -> list[float]:
    return [struct.unpack("f", struct.pack("f", one))[0] for one in numbers]


def prompt_of_canvas(workflow: dict[str, Any], classes: Classes) -> dict[str, Any]:
    """The prompt that the editor sends: widgets by their names, then wires, in an order in which nodes can run."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    nodes = {str(node["id"]): node for node in workflow["nodes"] if node["type"] in classes}
    needs = {
        name: [links[one["link"]][0] for one in node["inputs"] if one["link"] is not None]
        for name, node in nodes.items()
    }
    return {name: _sent(nodes[name], links, classes) for name in find_order(needs)}


def _sent(node: dict[str, Any], links: dict[int, list[Any]], classes: Classes) -> dict[str, Any]:
    found = classes[node["type"]]
    info = class_info(found, classes, Here())
    values = iter(node["widgets_values"])
    inputs: dict[str, Any] = {}
    for name, (_, options) in {**info["input"]["required"], **info["input"]["optional"]}.items():
        if name in found.node_type.inputs:
            continue
        inputs[name] = next(values)
        if options.get("control_after_generate"):
            assert next(values) == "fixed"
    assert list(values) == []
    inputs |= {one["name"]: links[one["link"]] for one in node["inputs"] if one["link"] is not None}
    title = node.get("title", info["display_name"])
    return {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
