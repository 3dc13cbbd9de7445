"""Random documents over all node types: what the check takes, with parameters, outputs and a layout."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from limner.comfy.settings import MAX_SAFE
from limner.engine.check import check
from limner.engine.document import Document
from limner.engine.errors import GraphError
from limner.engine.node import NodeType
from limner.engine.registry import Registry
from limner.engine.value import fits

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["fixed", '"', "[1]", "auto"])
IDS = st.text(st.characters(categories=["L", "Nd"], include_characters="_-"), min_size=1, max_size=8)
PLACES = st.lists(st.integers(-5000, 5000) | st.floats(-5000, 5000), min_size=2, max_size=2)
SIZES = st.lists(st.integers(100, 900), min_size=2, max_size=2)
DEVICES = st.sampled_from(["auto", "auto", "cpu", "cuda:1"])
OFFLOADS = st.sampled_from(
    ["auto", "auto", "none", "model", {"mode": "group", "level": "block", "blocks_per_group": 4}]
)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a setting, most of them in its range."""
    if "anyOf" in schema:
        return st.one_of([values(one) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1000))
    most = min(schema.get("maximum", schema.get("exclusiveMaximum", MAX_SAFE)), MAX_SAFE)
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            step = schema.get("multipleOf", 1)
            return st.integers(-(-least // step), most // step).map(lambda count: count * step)
        case "number":
            return st.floats(least, most) | st.integers(int(least), int(most))
        case "array":
            return st.lists(values(schema.get("items", {})), max_size=2)
        case "object":
            return st.fixed_dictionaries({}, optional={k: values(v) for k, v in schema.get("properties", {}).items()})
    return TEXTS


@st.composite
def documents(draw: st.DrawFn, registry: Registry, *, layouts: bool) -> Document:
    """A document that the check takes."""
    ids = draw(st.lists(IDS, min_size=1, max_size=7, unique=True))
    kinds = {name: registry[draw(st.sampled_from(sorted(registry)))] for name in ids}
    nodes = {name: draw(_nodes(name, kinds)) for name in ids}
    raw: dict[str, Any] = {"limner": 1, "name": draw(IDS), "description": draw(TEXTS), "nodes": nodes}
    settable = [f"{name}.{one}" for name, kind in kinds.items() for one in (*kind.settings, *kind.inputs)]
    ports = [f"{name}.{port.name}" for name, kind in kinds.items() for port in kind.outputs]
    if settable:
        targets = st.sampled_from(settable) | st.lists(st.sampled_from(settable), min_size=1, max_size=2)
        raw["parameters"] = draw(st.dictionaries(IDS, targets, max_size=2))
    if ports:
        raw["outputs"] = draw(st.dictionaries(IDS, st.sampled_from(ports), max_size=2))
    document = _mended(raw, registry)
    if not layouts or not document.nodes:
        return document
    return document.model_copy(update={"layout": draw(_layouts(list(document.nodes)))})


@st.composite
def _nodes(draw: st.DrawFn, name: str, kinds: dict[str, NodeType]) -> dict[str, Any]:
    """A node, wired to those before it wherever it can be."""
    kind = kinds[name]
    before = list(kinds)[: list(kinds).index(name)]
    schemas = kind.settings_schema.get("properties", {})
    settings = draw(st.fixed_dictionaries({}, optional={one: values(schemas[one]) for one in kind.settings}))
    wires: dict[str, Any] = {}
    for port in kind.inputs.values():
        fitting = _sources(before, kinds, port.type)
        if fitting and draw(st.integers(0, 3)):
            several = st.lists(st.sampled_from(fitting), min_size=1, max_size=3)
            wires[port.name] = draw(several if port.is_many and draw(st.booleans()) else st.sampled_from(fitting))
    for one in kind.settings:
        found = kind.setting_type(one)
        fitting = [] if found is None else _sources(before, kinds, found)
        if fitting and not draw(st.integers(0, 3)):
            wires[one] = draw(st.sampled_from(fitting))
            settings.pop(one, None)
    more = {"device": draw(DEVICES), "offload": draw(OFFLOADS)} if kind.cls.on_device else {}
    return {"type": kind.name, "settings": settings, "wires": wires, **more}


def _sources(before: list[str], kinds: dict[str, NodeType], wanted: type) -> list[str]:
    return [
        name if len(kinds[name].outputs) == 1 else f"{name}.{port.name}"
        for name in before
        for port in kinds[name].outputs
        if fits(port.type, wanted)
    ]


def _mended(raw: dict[str, Any], registry: Registry) -> Document:
    """Without what the check does not take: a setting, a wire, and in the end the node."""
    while True:
        try:
            return check(raw, registry).document
        except GraphError as error:
            for fault in error.faults:
                _without(raw, fault.path)


def _without(raw: dict[str, Any], path: tuple[str | int, ...]) -> None:
    head, *rest = path
    if head != "nodes":
        raw[str(head)] = {}
        return
    node, *place = rest
    found = raw["nodes"].get(node, {})
    if len(place) >= 2 and place[1] in found.get(str(place[0]), {}):
        del found[place[0]][place[1]]
    elif len(place) == 1 and place[0] in ("device", "offload") and place[0] in found:
        del found[place[0]]
    else:
        raw["nodes"].pop(node, None)


@st.composite
def _layouts(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    """Where each node stands, and what else a canvas has; also what it has not."""
    some = st.sampled_from(names)
    looks = st.fixed_dictionaries({}, optional={"color": st.just("#322"), "collapsed": st.just(True)}).filter(bool)
    group = st.fixed_dictionaries(
        {"title": TEXTS, "bounding": st.lists(st.floats(0, 5000), min_size=4, max_size=4)},
        optional={"color": st.just("#a1309b")},
    )
    note = st.fixed_dictionaries(
        {"text": TEXTS, "position": PLACES},
        optional={"size": SIZES, "title": st.just("Read me"), "plain": st.just(True), "bgcolor": st.just("#335")},
    )
    parts = {
        "positions": {name: draw(PLACES) for name in names},
        "sizes": draw(st.dictionaries(some, SIZES, max_size=2)),
        "titles": draw(st.dictionaries(some, TEXTS.filter(lambda text: text not in ("", "fixed")), max_size=2)),
        "looks": draw(st.dictionaries(some, looks, max_size=2)),
        "groups": draw(st.lists(group, max_size=2)),
        "notes": draw(st.lists(note, max_size=2)),
        "of others": draw(st.dictionaries(TEXTS, st.none() | TEXTS | st.integers(), max_size=2)),
    }
    return {name: part for name, part in parts.items() if part}
