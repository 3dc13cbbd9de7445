"""A workflow as ComfyUI's editor saves it, read with care: what is not as it should be is a fault, never a crash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from limner.comfy.foreign_json import dict_of, id_of, list_of, pair_of, text_of
from limner.comfy.names import MAX_ID, too_long
from limner.comfy.workflow import NODE_ID, OWN, GroupBox, Level, Slot, Workflow, WorkflowNode
from limner.engine.errors import Fault

_ROOT: Final = ""


def is_workflow(raw: Any) -> bool:
    """Whether parsed JSON is a workflow of the editor's, and no graph of ours: ours has nodes by their ids."""
    return isinstance(raw, dict) and isinstance(raw.get("nodes"), list) and "limner" not in raw


def is_ours(raw: Any) -> bool:
    """Whether parsed JSON is a workflow that was made of a graph of ours, and still says what that was."""
    return is_workflow(raw) and bool(_own(raw))


def read_workflow(raw: Mapping[str, Any]) -> Workflow:
    """Read parsed JSON of which ``is_workflow`` holds."""
    faults: list[Fault] = []
    subgraphs: dict[str, Level] = {}
    definitions = raw.get("definitions")
    for number, one in enumerate(list_of(definitions.get("subgraphs")) if isinstance(definitions, dict) else ()):
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            subgraphs[one["id"]] = _level(one, str(one.get("name") or one["id"])[:200], faults)
        else:
            faults.append(Fault("is no subgraph", ("definitions", "subgraphs", number)))
    groups = tuple(filter(None, map(GroupBox.of, list_of(raw.get("groups")))))
    return Workflow(_level(raw, _ROOT, faults), subgraphs, tuple(faults), groups, _own(raw))


def _own(raw: Mapping[str, Any]) -> dict[str, Any]:
    return dict_of(dict_of(raw.get("extra")).get(OWN))


def _level(raw: Mapping[str, Any], name: str, faults: list[Fault]) -> Level:
    place = f"the subgraph {name}" if name else "the workflow"
    nodes: dict[str, WorkflowNode] = {}
    for number, one in enumerate(list_of(raw.get("nodes"))):
        if (node := _node(one)) is None:
            faults.append(Fault(f"number {number} of the nodes of {place} is no node"))
        elif len(node.id) > MAX_ID:
            faults.append(too_long(node.id))
        elif node.id in nodes:
            faults.append(Fault(f"two nodes of {place} have the id {node.id}"))
        else:
            nodes[node.id] = node
    links: dict[str, tuple[str, int]] = {}
    given: dict[int, str] = {}
    output_node = _boundary(raw, "outputNode")
    for number, one in enumerate(list_of(raw.get("links"))):
        if (link := _link(one)) is None:
            faults.append(Fault(f"number {number} of the links of {place} is no link"))
            continue
        key, origin, slot, target, target_slot = link
        links[key] = (origin, slot)
        if output_node and target == output_node:
            given[target_slot] = key
    inputs = tuple(_slots(raw.get("inputs"))) if name else ()
    return Level(name, nodes, links, inputs, _boundary(raw, "inputNode"), given)


def _boundary(raw: Mapping[str, Any], name: str) -> str:
    node = raw.get(name)
    return id_of(node.get("id")) or "" if isinstance(node, dict) else ""


def _node(raw: Any) -> WorkflowNode | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or (node_id := id_of(raw.get("id"))) is None:
        return None
    values = raw.get("widgets_values")
    properties = raw.get("properties")
    title = raw.get("title")
    mode = raw.get("mode")
    return WorkflowNode(
        id=node_id,
        type=raw["type"],
        title=title if isinstance(title, str) else "",
        mode=mode if isinstance(mode, int) else 0,
        inputs=tuple(_slots(raw.get("inputs"))),
        outputs=tuple(_slots(raw.get("outputs"))),
        values=values if isinstance(values, (list, dict)) else (),
        proxies=tuple(_proxies(properties.get("proxyWidgets"))) if isinstance(properties, dict) else (),
        position=pair_of(raw.get("pos")) or (0, 0),
        size=pair_of(raw.get("size")),
        own_id=text_of(dict_of(properties).get(NODE_ID)),
        looks=_looks(raw),
    )


def _looks(raw: Mapping[str, Any]) -> dict[str, Any]:
    colors = {name: raw[name] for name in ("color", "bgcolor") if isinstance(raw.get(name), str)}
    return colors | ({"collapsed": True} if dict_of(raw.get("flags")).get("collapsed") is True else {})


def _slots(raw: Any) -> Iterator[Slot]:
    for one in list_of(raw):
        known = one if isinstance(one, dict) else {}
        yield Slot(
            name=text_of(known.get("name")),
            type=text_of(known.get("type")),
            label=text_of(known.get("label")),
            link=id_of(known.get("link")),
        )


def _proxies(raw: Any) -> Iterator[tuple[str, str]]:
    for one in list_of(raw):
        if isinstance(one, list) and len(one) >= 2 and isinstance(one[1], str):
            yield (id_of(one[0]) or "", one[1])


def _link(raw: Any) -> tuple[str, str, int, str, int] | None:
    """Id, origin and its slot, target and its slot: the editor writes a list, or an object in subgraphs."""
    if isinstance(raw, dict):
        raw = [raw.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
    if not isinstance(raw, list) or len(raw) < 5:
        return None
    key, origin, target = id_of(raw[0]), id_of(raw[1]), id_of(raw[3])
    slot, target_slot = raw[2], raw[4]
    if key is None or origin is None or target is None or not isinstance(slot, int) or not isinstance(target_slot, int):
        return None
    return key, origin, slot, target, target_slot
