"""Faults of a graph as the protocol says them: all at once, each at its node and input, by the client's own ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from limner.comfy.class_info import Here, inputs_of
from limner.comfy.classes import Classes, ComfyClass, socket
from limner.comfy.names import MAX_ID, client_id
from limner.comfy.prompt import NO_OUTPUTS, UNKNOWN_TYPE
from limner.comfy.prompt_nodes import BAD_LINK, is_link
from limner.engine.errors import Fault

_TOO_MUCH: Final = ("value_bigger_than_max", "Value is too large")
_TOO_LITTLE: Final = ("value_smaller_than_min", "Value is too small")
_WRONG: Final = ("invalid_input_type", "Value is of the wrong kind")
_OTHER: Final = ("custom_validation_failed", "Value cannot be used")
TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("required_input_missing", "Required input is missing"),
    "wire_type": ("return_type_mismatch", "Return type mismatch between linked nodes"),
    "cycle": ("dependency_cycle", "The links form a cycle"),
    BAD_LINK: ("bad_linked_input", "Bad link"),
    UNKNOWN_TYPE: ("missing_node_type", "Node type not found"),
    "literal_error": ("value_not_in_list", "Value not in list"),
    "less_than": _TOO_MUCH,
    "less_than_equal": _TOO_MUCH,
    "string_too_long": _TOO_MUCH,
    "too_long": _TOO_MUCH,
    "greater_than": _TOO_LITTLE,
    "greater_than_equal": _TOO_LITTLE,
    "string_too_short": _TOO_LITTLE,
    "too_short": _TOO_LITTLE,
    "int_from_float": _WRONG,
    "finite_number": _WRONG,
    "extra_forbidden": ("unknown_input", "Unknown input"),
}
"""By the kind of a fault, the protocol's type and message."""
_ID: Final = re.compile(r"[\w-]+")
_WORD: Final = re.compile(r"(?<![\w.:-])[A-Z]\w+(?![\w.:-])")
MAX_FAULTS: Final = 1000
MAX_TRACED: Final = 100
"""Nodes whose dependent outputs are looked for, and how many of each are told."""
MAX_SHOWN: Final = 1000
"""Characters of a value that is told again."""
MAX_SAID: Final = 2000
"""Characters of a fault in words: a cycle may lead through all nodes."""


def refusal(
    faults: Iterable[Fault], prompt: Any, outputs: Iterable[str], classes: Classes, here: Here
) -> dict[str, Any]:
    """The answer to a prompt with faults. ``here`` and ``classes`` say what the inputs were described as."""
    first = list(faults)[:MAX_FAULTS]
    nodes = prompt if isinstance(prompt, dict) else {}
    dependents = _Dependents(nodes, outputs)
    told = _Told(nodes, classes, here)
    errors: dict[str, dict[str, Any]] = {}
    for fault in first:
        name = client_id(fault.node or "")
        node = nodes.get(name)
        if fault.node is None or not isinstance(node, dict):
            continue
        if name not in errors:
            known = {"dependent_outputs": dependents.of(name), "class_type": node.get("class_type")}
            errors[name] = {"errors": [], **known}
        errors[name]["errors"].append(told.error(fault, node))
    return {"error": _summary(first, nodes, classes), "node_errors": errors}


def _summary(faults: list[Fault], nodes: Mapping[str, Any], classes: Classes) -> dict[str, Any]:
    """What clients show first. What is of no node, or a missing type, is said there."""
    said = [(fault.node, _said(fault, classes)) for fault in faults]
    details = "\n".join(f"#{client_id(node)}: {text}" if node else text for node, text in said)
    unknown = next((fault for fault in faults if fault.kind == UNKNOWN_TYPE and fault.node is not None), None)
    if unknown is not None and unknown.node is not None:
        name = client_id(unknown.node)
        node = nodes.get(name)
        return {
            "type": "missing_node_type",
            "message": unknown.message,
            "details": details,
            "extra_info": {"node_id": name, "class_type": _part(node, "class_type"), "node_title": _title(node)},
        }
    if any(fault.kind == NO_OUTPUTS for fault in faults):
        return {"type": "prompt_no_outputs", "message": "Prompt has no outputs", "details": details, "extra_info": {}}
    message = "Prompt outputs failed validation"
    return {"type": "prompt_outputs_failed_validation", "message": message, "details": details, "extra_info": {}}


def _part(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, dict) else None


def _title(node: Any) -> Any:
    return _part(_part(node, "_meta"), "title")


def _said(fault: Fault, classes: Classes) -> str:
    """A fault in words, with the client's ids and names in place of ours."""
    return in_own_words(fault.message, classes) + (f" ({in_own_words(fault.hint, classes)})" if fault.hint else "")


def in_own_words(text: str, classes: Classes) -> str:
    """The same of one text of a fault, which is cut where it is very long."""
    return own_words(_cut(text), lambda name: classes.names.classes.get(name, name))


def own_words(text: str, class_name: Callable[[str], str]) -> str:
    """A text of ours with the client's ids and names in it. ``class_name`` gives that of a node type."""
    text = _WORD.sub(lambda found: class_name(found[0]), text)
    return _ID.sub(lambda found: client_id(found[0]), text) if "-x" in text else text


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}..."


class _Told:
    """Says faults with what the client sent, and what was said of the input to it: both in bounded words."""

    def __init__(self, nodes: Mapping[str, Any], classes: Classes, here: Here) -> None:
        self._nodes = nodes
        self._classes = classes
        self._here = here
        self._inputs: dict[str, dict[str, list[Any]]] = {}

    def error(self, fault: Fault, node: Mapping[str, Any]) -> dict[str, Any]:
        """One fault of a node."""
        kind, message = TYPES.get(fault.kind, _WRONG if fault.kind.endswith("_type") else _OTHER)
        extra: dict[str, Any] = {}
        found = self._classes.get(str(node.get("class_type")))
        if found is not None and (name := _input_of(fault, node, found)) is not None:
            extra = {"input_name": name, "input_config": self._config(name, found)}
            given = (node.get("inputs") or {}).get(name)
            if is_link(given):
                extra |= {"linked_node": given, "received_type": self._given_type(given)}
            elif given is not None and _is_short(given):
                extra["received_value"] = given
        return {"type": kind, "message": message, "details": _said(fault, self._classes), "extra_info": extra}

    def _config(self, name: str, found: ComfyClass) -> list[Any] | None:
        if found.name not in self._inputs:
            self._inputs[found.name] = inputs_of(found, self._classes, self._here)
        port = found.growing(name)
        return self._inputs[found.name].get(port.name if port is not None else name)

    def _given_type(self, link: Any) -> str | None:
        """The type of the output that a link leads to."""
        found = self._classes.get(str(_part(self._nodes.get(link[0]), "class_type")))
        ports = () if found is None else found.node_type.outputs
        return self._classes.wires.of_output(ports[int(link[1])]) if link[1] in range(len(ports)) else None


def _is_short(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= MAX_SHOWN)


def _input_of(fault: Fault, node: Mapping[str, Any], found: ComfyClass) -> str | None:
    """The input that a fault is about; of sockets that grow, the first one that is wired."""
    match fault.path[2:]:
        case ("device", *_):
            return found.device_input
        case ("offload", *_):
            return found.offload_input
        case ("wires" | "settings", name, *_):
            port = found.node_type.inputs.get(str(name))
            if port is not None and port.is_many:
                grown = (key for key in node.get("inputs") or {} if found.growing(key) is port)
                return next(grown, socket(port))
            return str(name)
    return None


class _Dependents:
    """Which outputs of a prompt need a node: for a message, so of very many nodes not for all."""

    def __init__(self, nodes: Mapping[str, Any], outputs: Iterable[str]) -> None:
        self._outputs = [output for output in outputs if len(output) <= MAX_ID]  # others are faults themselves
        self._left = MAX_TRACED
        self._followers: dict[str, list[str]] = {}
        for name, node in nodes.items():
            inputs = _part(node, "inputs")
            for value in inputs.values() if isinstance(inputs, dict) else ():
                if is_link(value):
                    self._followers.setdefault(value[0], []).append(name)

    def of(self, name: str) -> list[str]:
        """The outputs that a node leads to."""
        self._left -= 1
        if self._left < 0:
            return []
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached.add(one)
                waiting += self._followers.get(one, [])
        return [output for output in self._outputs if output in reached][:MAX_TRACED]
