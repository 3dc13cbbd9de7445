"""What the protocol tells of a class: its inputs with their widgets, its outputs, and how people find it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.classes import Classes, ComfyClass, prefix
from limner.comfy.names import is_thin
from limner.comfy.placement import DEVICE_TOOLTIP, OFFLOAD_TOOLTIP, POLICIES, devices
from limner.comfy.wire_types import ANY
from limner.engine.node import Port

MODULE: Final = "custom_nodes.limner"
"""Where the protocol says that nodes come from: not from ComfyUI."""
CATEGORY: Final = "limner/"
PICTURE_LIST: Final = "picture_list"
"""The option of an input that lists pictures, one a line: our extension of the editor lets people bring them."""
MAX_GROWN: Final = 100
"""Sockets of a list."""


@dataclass(frozen=True)
class Here:
    """What depends on the machine and the moment: see ``Node.choices``."""

    devices: Sequence[str] = ()
    pictures: Sequence[str] = ()
    """Those that a client brought."""


def class_info(found: ComfyClass, classes: Classes, here: Here) -> dict[str, Any]:
    """A class as ``/object_info`` tells of it."""
    cls = found.node_type.cls
    required, optional = _inputs(found, classes, here)
    outputs = found.node_type.outputs
    return {
        "input": {"required": required, "optional": optional},
        "input_order": {"required": list(required), "optional": list(optional)},
        "output": [classes.wires.of_output(port) for port in outputs],
        "output_is_list": [False] * len(outputs),
        "output_name": [_output_name(port, found, classes) for port in outputs],
        "output_tooltips": [_what(port.type) for port in outputs],
        "name": found.name,
        "display_name": found.title,
        "description": _unwrapped(inspect.getdoc(cls) or ""),
        "category": cls.category if is_thin(found.node_type) else CATEGORY + cls.category,
        "output_node": found.is_output,
        "python_module": MODULE,
        "search_aliases": list(cls.aliases),
        "deprecated": hasattr(cls, "__deprecated__"),
    }


def _output_name(port: Port, found: ComfyClass, classes: Classes) -> str:
    """What an output is called: as in ComfyUI, where it does so, after its type."""
    if not is_thin(found.node_type) or len(found.node_type.outputs) > 1:
        return port.name
    name = classes.wires.of_output(port).partition(",")[0]
    return "output" if name == ANY else name


def inputs_of(found: ComfyClass, classes: Classes, here: Here) -> dict[str, list[Any]]:
    """All inputs of a class as ``/object_info`` tells of them."""
    required, optional = _inputs(found, classes, here)
    return required | optional


def _inputs(found: ComfyClass, classes: Classes, here: Here) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """All inputs in the order in which the editor shows them. As in ComfyUI, all settings are among the required ones,
    although a prompt may leave out those that have a default.
    """
    sides: tuple[dict[str, list[Any]], dict[str, list[Any]]] = {}, {}
    for port in found.node_type.inputs.values():
        sides[port.is_optional][port.name] = _socket(port, classes)
    choices = found.node_type.cls.choices()
    for name in found.settings:
        sides[False][name] = _widget(name, found, choices, here)
    if found.further_input is not None:
        sides[True][found.further_input] = _further()
    if found.node_type.cls.on_device:
        sides[True].update(_placement(found, here.devices))
    return sides


def _socket(port: Port, classes: Classes) -> list[Any]:
    wire = classes.wires.of_input(port)
    what = _what(port.type)
    tooltip = {"tooltip": what} if what else {}
    if not port.is_many:
        return [wire, tooltip]
    least = 0 if port.is_optional else 1
    template = {"input": {"required": {prefix(port): [wire, tooltip]}}, "prefix": prefix(port)}
    return ["COMFY_AUTOGROW_V3", {"template": template | {"min": least, "max": MAX_GROWN}} | tooltip]


def _what(wire_class: type) -> str:
    """What travels on a wire, in its own words."""
    plain = wire_class.__module__ == "builtins"
    return "" if plain else _unwrapped((inspect.getdoc(wire_class) or "").partition("\n")[0])


def _unwrapped(docstring: str) -> str:
    """A docstring as the editor shows it: in plain text, its lines as wide as there is room."""
    return re.sub(r"(?<!\n)\n(?![\n\s*-])", " ", docstring.replace("``", ""))


def _widget(name: str, found: ComfyClass, choices: Mapping[str, Sequence[str]], here: Here) -> list[Any]:
    form = found.settings[name]
    options = dict(form.options)
    if name in found.node_type.cls.advanced:
        options["advanced"] = True
    if name in found.pictures and form.is_text:
        options["image_upload"] = True
        return [_with(options.get("default"), here.pictures), options]
    if name in found.pictures:
        options[PICTURE_LIST] = True
    if name in choices:
        return [_with(options.get("default"), choices[name]), options]
    return [form.type, options]


def _with(default: Any, known: Iterable[str]) -> list[str]:
    """Choices, with the default among them where it is one."""
    return list(dict.fromkeys([*([default] if default else []), *known]))


def _further() -> list[Any]:
    tooltip = "Further settings, which are passed on as they are: a JSON object."
    return [
        "STRING",
        {"default": "", "multiline": True, "placeholder": "further, in JSON", "advanced": True, "tooltip": tooltip},
    ]


def _placement(found: ComfyClass, known: Iterable[str]) -> dict[str, list[Any]]:
    where = {"default": "auto", "tooltip": DEVICE_TOOLTIP, "advanced": True}
    policy = {"default": "auto", "tooltip": OFFLOAD_TOOLTIP, "advanced": True}
    return {found.device_input: [devices(known), where], found.offload_input: [list(POLICIES), policy]}
