"""What a caller may set in a graph: parameters by name, any setting by ``node.setting``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limner.engine.document import Document, parse
from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.expand import GRAPH_TYPE, Library, targets_of
from limner.engine.findings import Findings
from limner.engine.registry import Registry


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a template: the JSON schema of the setting it points to, and its default there."""

    name: str
    schema: Mapping[str, Any]
    default: Any


_UNSET: Any = object()


def describe(document: Document, registry: Registry, library: Library | None = None) -> list[Parameter]:
    """The parameters of a document, with the schemas and defaults of what they point to."""
    return [_parameter(document, name, registry, library) for name in document.parameters]


def _parameter(document: Document, name: str, registry: Registry, library: Library | None) -> Parameter:
    """The parameter ``name``, followed through the graphs in the graph to the setting that it stands for."""
    target, default, entered = targets_of(document.parameters[name])[0], _UNSET, set[Path]()
    while True:
        node_id, _, setting = target.partition(".")
        node = document.nodes.get(node_id)
        if node is None:
            return Parameter(name, {}, None)
        default = node.settings.get(setting, _UNSET) if default is _UNSET else default
        if node.type != GRAPH_TYPE or library is None:
            break
        graph = str(node.settings.get("graph"))
        try:
            place = library.path(graph)
            inner, _ = parse(library.load(graph))
            library = library.beside(graph)  # a graph names others from its own folder
        except LimnerError:  # checking says what is wrong with it
            return Parameter(name, {}, None)
        if place in entered or inner is None or setting not in inner.parameters:
            return Parameter(name, {}, None)
        entered.add(place)
        document, target = inner, targets_of(inner.parameters[setting])[0]
    node_type = registry.get(node.type)
    if node_type is None or setting not in node_type.settings:
        return Parameter(name, {}, None)
    schema = dict(node_type.settings_schema["properties"][setting])
    return Parameter(name, schema, schema.get("default") if default is _UNSET else default)


def with_values(document: Document, values: Mapping[str, Any]) -> Document:
    """The document with parameters (``prompt``) and settings (``denoise.seed``) changed.

    Raises GraphError that names every value which points to nothing.
    """
    changed, faults = set_values(document, values)
    if faults:
        raise GraphError(faults)
    return changed


def set_values(document: Document, values: Mapping[str, Any]) -> tuple[Document, list[Fault]]:
    """The document with all values that point to something, and a fault for every other one."""
    findings = Findings()
    changes = defaultdict[str, dict[str, Any]](dict)
    for name, value in values.items():
        for target in targets_of(document.parameters.get(name, name)):
            node_id, _, setting = target.partition(".")
            if node_id in document.nodes and setting:
                changes[node_id][setting] = value
            else:
                _note_unknown(name, document, findings)
    nodes = dict(document.nodes)
    for node_id, settings in changes.items():
        node = nodes[node_id]
        wires = {port: wire for port, wire in node.wires.items() if port not in settings}
        nodes[node_id] = node.model_copy(update={"settings": node.settings | settings, "wires": wires})
    return document.model_copy(update={"nodes": nodes}), findings.faults


def _note_unknown(name: str, document: Document, findings: Findings) -> None:
    node_id, _, setting = name.partition(".")
    if setting:
        message, hint = f"has no node {node_id}", findings.suggest(node_id, document.nodes)
    else:
        message, hint = "has no such parameter", findings.suggest(name, document.parameters)
    findings.add(f"{name}: {document.name} {message}", ("parameters", name), hint)


def by_parameter(faults: Iterable[Fault], names: Iterable[str], document: Document) -> Iterator[Fault]:
    """The faults, those of settings that the parameters ``names`` stand for with the parameter's name in front."""
    called = {
        target: name
        for name in names
        if name in document.parameters
        for target in targets_of(document.parameters[name])
    }
    for fault in faults:
        setting = str(fault.path[3]) if fault.node and fault.path[2:3] == ("settings",) and fault.path[3:] else ""
        name = called.get(f"{fault.node}.{setting}", setting)
        yield fault if name == setting else replace(fault, message=f"{name}: {fault.message}")


def read_values(
    pairs: Iterable[str], document: Document, registry: Registry, library: Library | None = None
) -> dict[str, Any]:
    """Values from ``NAME=VALUE`` texts. A setting that is a text takes the text; others are read as JSON.

    Raises GraphError for a pair without ``=``, and for what is not Unicode.
    """
    out = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise GraphError([Fault(f"{pair!r} is not NAME=VALUE", hint='for example: --set "prompt=a red circle"')])
        if not is_unicode(pair):
            raise GraphError([Fault(f"{name!r}: is not Unicode text", hint="is the terminal's encoding UTF-8?")])
        out[name] = read_value(text, schema_of(name, document, registry, library))
    return out


def is_unicode(text: str) -> bool:
    """Whether a text has no half characters, which bytes that are not UTF-8 become on a command line."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def schema_of(name: str, document: Document, registry: Registry, library: Library | None) -> Mapping[str, Any]:
    """The JSON schema of a parameter, or of a setting named ``node.setting``; empty where there is none."""
    if name in document.parameters:
        return _parameter(document, name, registry, library).schema
    probe = document.model_copy(update={"parameters": {name: name}})
    return _parameter(probe, name, registry, library).schema


def kinds_of(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that a setting takes."""
    return {option["type"] for option in schema.get("anyOf", [schema]) if "type" in option}


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """One value from a text: the text itself where the setting is one, otherwise JSON; lists also with commas."""
    options = schema.get("anyOf", [schema])
    kinds = kinds_of(schema)
    if "string" in kinds and not ("null" in kinds and text == "null"):
        return text
    if "array" in kinds and not text.startswith("[") and text != "null":
        items = [option.get("items", {}).get("type") for option in options if option.get("type") == "array"]
        return [read_value(part, {"type": items[0]}) for part in text.split(",")]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # checking says what was expected and what came
