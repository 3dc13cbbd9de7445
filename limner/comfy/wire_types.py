"""What the types of wires are called in the protocol, and the colours that the editor draws them in."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from limner.engine.node import NodeType, Port, snake_case
from limner.engine.value import fits
from limner.nodes.specs import TextEncoder, Transformer

ANY: Final = "*"
_NAMES: Final[Mapping[type, str]] = {
    int: "INT",
    float: "FLOAT",
    str: "STRING",
    bool: "BOOLEAN",
    object: ANY,
    Transformer: "MODEL",
    TextEncoder: "CLIP",
}
"""Where the protocol's word is another than ours."""

_COLORS: Final[Mapping[str, str]] = {
    "MODEL": "#b39ddb",
    "CLIP": "#ffd500",
    "VAE": "#ff6e6e",
    "CONDITIONING": "#ffa931",
    "LATENT": "#ff9cf9",
    "IMAGE": "#64b5f6",
    "MASK": "#81c784",
    "REFERENCES": "#4dd0e1",
    "REFERENCE_LATENTS": "#f06292",
    "REGION": "#aed581",
    "FILES": "#bcaaa4",
    "TABLE": "#90a4ae",
    "INT": "#29699c",
    "FLOAT": "#6bb36b",
    "STRING": "#77ff77",
    "BOOLEAN": "#ba68c8",
}


def wire_type(value: type) -> str:
    """The protocol's name of a class of values: ``IMAGE``, ``REFERENCE_LATENTS``; ``MODEL`` for a transformer."""
    return _NAMES.get(value) or snake_case(value.__name__).upper()


class WireTypes:
    """The types that travel between the nodes of a registry."""

    def __init__(self, registry: Mapping[str, NodeType]) -> None:
        node_types = list(registry.values())
        given = [port.type for node in node_types for port in node.outputs if port.same_as is None]
        self._given: tuple[type, ...] = tuple(dict.fromkeys(given))
        """What some node makes."""
        taken = [port.type for node in node_types for port in node.inputs.values()]
        self._all = tuple(dict.fromkeys([*given, *taken]))

    def of_input(self, port: Port) -> str:
        """What may be wired to an input: its own type and those that are one, as ``MODEL,CLIP``."""
        return self._union(port.type)

    def of_output(self, port: Port) -> str:
        """What an output gives. One that passes on what came in is called all that may come in."""
        return wire_type(port.type) if port.same_as is None else self._union(port.type)

    def _union(self, wanted: type) -> str:
        if wanted is object:
            return ANY
        fitting = [kind for kind in self._given if kind is not wanted and fits(kind, wanted)]
        own = [wanted] if wanted in self._given or not fitting else []  # a mere base is no type that one can wire
        return ",".join(dict.fromkeys(wire_type(kind) for kind in [*own, *fitting]))

    def colors(self) -> dict[str, str]:
        """A colour for every type, in CSS: the editor's own where it has one, else one made from its name."""
        named: Iterable[str] = (wire_type(kind) for kind in self._all)
        return {name: _COLORS.get(name) or _color(name) for name in [*_COLORS, *named] if name != ANY}


def _color(name: str) -> str:
    """A light colour that is always the same for a name."""
    hue = sha256(name.encode()).digest()[0] / 256
    red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, 0.7, 0.6))
    return f"#{red:02x}{green:02x}{blue:02x}"
