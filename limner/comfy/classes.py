"""The node types of a registry as the protocol knows them: one class each, with its inputs in order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from limner.comfy.names import ClassNames, is_thin
from limner.comfy.placement import DEVICE, OFFLOAD
from limner.comfy.settings import Form, form_of
from limner.comfy.wire_types import WireTypes
from limner.engine.node import NodeType, Port

FURTHER: Final = "further"
"""The input for settings that a node takes and does not name: a JSON object."""
_TAKEN: Final = "node_"
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z])")


@dataclass(frozen=True)
class ComfyClass:
    """A node type under its name in the protocol."""

    name: str
    node_type: NodeType
    is_second: bool = False
    """Whether it is ComfyUI's, and one of ours has this name too."""

    @cached_property
    def _schemas(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.node_type.settings_schema.get("properties", {})
        return found

    @cached_property
    def settings(self) -> Mapping[str, Form]:
        """By setting, how it is edited."""
        return {name: form_of(name, self._schemas[name]) for name in self.node_type.settings}

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Of settings that have one, what they are when nothing is said, as JSON has it."""
        return {
            name: self._schemas[name]["default"] for name in self.node_type.settings if "default" in self._schemas[name]
        }

    @cached_property
    def pictures(self) -> frozenset[str]:
        """The settings that name pictures."""
        return frozenset(name for name, schema in self._schemas.items() if schema.get("format") == "picture")

    @cached_property
    def needed_texts(self) -> frozenset[str]:
        """The settings that must be given, and are texts which are never empty: an empty widget says nothing yet."""
        return frozenset(name for name, one in self._schemas.items() if one.get("minLength") and "default" not in one)

    @property
    def is_output(self) -> bool:
        """Whether a prompt is run for the sake of such a node."""
        return self.node_type.cls.effect or self.node_type.cls.shows

    @cached_property
    def title(self) -> str:
        """The name that people see: ``VAE Decode``. Where ComfyUI has a node of this name, too, ours is found first."""
        native = self.node_type.name if not is_thin(self.node_type) else self.name
        words = _WORDS.sub(" ", native).replace("Lo RA", "LoRA")
        return f"{words} (ComfyUI)" if self.is_second else words

    @cached_property
    def device_input(self) -> str:
        """The input for the node's device; with another name where the type itself has such an input."""
        return self._free(DEVICE)

    @cached_property
    def offload_input(self) -> str:
        """The input for its offload policy."""
        return self._free(OFFLOAD)

    @cached_property
    def further_input(self) -> str | None:
        """The input for settings without a name; None where the type takes none."""
        return self._free(FURTHER) if self.node_type.cls.model_config.get("extra") == "allow" else None

    def growing(self, name: str) -> Port | None:
        """The port that a growing socket belongs to: ``images`` for ``images.image0``."""
        base, dot, _ = name.partition(".")
        port = self.node_type.inputs.get(base)
        return port if port is not None and port.is_many and dot else None

    def _free(self, name: str) -> str:
        is_taken = name in self.node_type.inputs or name in self.node_type.settings
        return _TAKEN + name if is_taken else name


def socket(port: Port, number: int = 0) -> str:
    """The name of one of the sockets that grow: ``images.image0``."""
    return f"{port.name}.{prefix(port)}{number}"


def prefix(port: Port) -> str:
    """What each socket of a list is called, before its number: ``image`` for ``images``."""
    return port.name.removesuffix("s") or port.name


class Classes(Mapping[str, ComfyClass]):
    """All classes, by their names in the protocol. What a class is like is found out when it is first asked for."""

    def __init__(self, registry: Mapping[str, NodeType]) -> None:
        self.names = ClassNames.of(registry)
        self.wires = WireTypes(registry)
        self._classes = {
            name: ComfyClass(name, registry[node_type], node_type != name and name in registry)
            for name, node_type in self.names.types.items()
        }

    def of_type(self, node_type: str) -> ComfyClass | None:
        """The class of one of our node types."""
        name = self.names.classes.get(node_type)
        return None if name is None else self._classes[name]

    def __getitem__(self, name: str) -> ComfyClass:
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)
