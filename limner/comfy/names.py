"""What nodes are called in the protocol and in our documents: their types, and their ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from limner.engine.document import NodeId
from limner.engine.errors import Fault, GraphError
from limner.engine.node import NodeType

CATEGORY: Final = "comfyui"
"""Of the thin nodes: those that do what a node of ComfyUI does, and are called Comfy and its name."""
_THIN: Final = "Comfy"
_OURS: Final = "Limner"
MAX_ID: Final = 200
_ASCII_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
_KEPT: Final = re.compile(r"[^A-Za-z0-9_]")
_ESCAPE: Final = re.compile(r"-x([0-9a-f]{0,6})-")
_EMPTY: Final = "-x-"
_NODE_ID: Final[TypeAdapter[str]] = TypeAdapter(NodeId)


@dataclass(frozen=True)
class ClassNames:
    """The node types of a registry, as clients of the protocol know them."""

    types: Mapping[str, str]
    """By the protocol's class name, our node type."""
    classes: Mapping[str, str]
    """By our node type, the protocol's class name."""

    @classmethod
    def of(cls, registry: Mapping[str, NodeType]) -> ClassNames:
        """Thin nodes have ComfyUI's names; our own keep theirs, with Limner in front where a thin node has it."""
        types = {name.removeprefix(_THIN): name for name, node_type in registry.items() if is_thin(node_type)}
        for name, node_type in registry.items():
            if not is_thin(node_type):
                types[_free(name, types, registry)] = name
        return cls(types, {node_type: name for name, node_type in types.items()})


def is_thin(node_type: NodeType) -> bool:
    """Whether a node type stands for one of ComfyUI's: ``ComfyVAEDecode`` for ``VAEDecode``."""
    return node_type.cls.category == CATEGORY and node_type.name.removeprefix(_THIN) not in ("", node_type.name)


def _free(name: str, taken: Mapping[str, str], registry: Mapping[str, NodeType]) -> str:
    """The name itself, or the first with Limner in front that no other node has or will get."""
    candidate = name
    while candidate in taken or (candidate != name and candidate in registry):
        candidate = _OURS + candidate
    return candidate


def document_id(client_id: str) -> str:
    """The id in our documents of the node that a client calls so: the same, where it can be one.

    Every text has its own: ``12:3`` becomes ``12-x3a-3``. Raises GraphError where it gets too long for an id.
    """
    out = client_id
    if len(client_id) <= MAX_ID and _is_escaped(client_id):
        out = _escape(client_id)
    if len(out) > MAX_ID:
        raise GraphError([too_long(client_id)])
    return out


def too_long(client_id: str) -> Fault:
    """What is wrong with an id that is longer than ``MAX_ID``."""
    hint = f"at most {MAX_ID} characters, those of the subgraphs around it counted"
    return Fault(f"the id of a node is too long: {client_id[:40]!r}...", hint=hint)


def client_id(document_id: str) -> str:
    """What a client calls the node: the inverse of ``document_id``."""
    return _unescape(document_id) if _is_escape(document_id) and _is_escaped(document_id) else document_id


def _is_escaped(text: str) -> bool:
    """Whether a client's id is not our id as it stands: it is none, or is needed for another one that is none.

    Texts that are each the escape of the next form a chain, and all of it moves by one where its end is no id.
    """
    while _is_escape(text):
        text = _unescape(text)
    return not is_id(text)


def is_id(text: str) -> bool:
    """Whether a document can call a node so."""
    if _ASCII_ID.fullmatch(text):
        return True
    try:
        _NODE_ID.validate_python(text)
    except ValidationError:
        return False
    return True


def _escape(text: str) -> str:
    return _KEPT.sub(lambda match: f"-x{ord(match[0]):x}-", text) or _EMPTY


def _is_escape(text: str) -> bool:
    return "-x" in text and _escape(_unescape(text)) == text


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _character(match[1]), text)


def _character(digits: str) -> str:
    code = int(digits or "0", 16)
    return chr(code) if digits and code <= 0x10FFFF else ""
