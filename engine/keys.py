"""Cache keys: a Merkle hash of what a node's outputs depend on, and of nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256

from pydantic import BaseModel, ValidationError

from limner.engine.checked import CheckedNode
from limner.engine.node import Node, NodeType

UNREPEATABLE = "unrepeatable-"
"""How the key of a node begins whose inputs are only known while it runs: it is never found again, so never kept."""


def node_keys(nodes: Sequence[CheckedNode], computed_by: Sequence[str] = ()) -> list[str]:
    """The key of every node, in order; nodes must stand after what they need. O(nodes + wires).

    A key covers the type, its version, the settings but for those ``not_in_key`` and those ``added`` that have their
    default, the node's own fingerprint (files it names, by content) and the keys of what it is wired to. Ids and
    positions are not part of it. ``computed_by`` says for each node what its bytes depend on besides, in words such as
    ``cuda torch 2.13.0``: see ``what_computes``.
    Raises whatever a fingerprint raises, such as InputError for a file that is gone.
    """
    keys: list[str] = []
    for index, node in enumerate(nodes):
        keys.append(_key(node, nodes, keys, computed_by[index] if computed_by else ""))
    return keys


def has_changed(index: int, nodes: Sequence[CheckedNode], keys: Sequence[str], computed_by: str = "") -> bool:
    """Whether a file that a node names is no longer the one of its key. Looks again only where a node names any."""
    if nodes[index].type.cls.fingerprint is Node.fingerprint or keys[index].startswith(UNREPEATABLE):
        return False
    return _key(nodes[index], nodes, keys, computed_by) != keys[index]


def what_computes(lane: str, software: Mapping[str, str], hardware: Mapping[str, str]) -> str:
    """What decides the last bits of a node on a lane: the kind of device and the packages that compute there.

    Two GPUs of one model are alike; those of two models are not, and neither are a GPU and a processor. Processors are
    all one kind: what is known of them includes how many threads there are, which changes with a variable.
    """
    kind = lane.partition(":")[0]
    model = "" if kind == "cpu" else hardware.get(lane, "")
    return " ".join([kind, *([model] if model else []), *(f"{name} {software[name]}" for name in sorted(software))])


def _key(node: CheckedNode, nodes: Sequence[CheckedNode], keys: Sequence[str], computed_by: str) -> str:
    settings = node.settings
    text = settings.__pydantic_serializer__.to_json(settings, exclude=_left_out(node.type.cls, settings) or None)
    parts = [node.type.key_prefix, text]
    start = ""
    for wire in sorted(node.wires, key=lambda wire: wire.port) if len(node.wires) > 1 else node.wires:
        sources = ",".join(f"{keys[source]}.{output}" for source, output in wire.sources)
        if UNREPEATABLE in sources:
            start = UNREPEATABLE
        parts.append(f"\0{wire.port}={sources}".encode())
    if node.type.cls.fingerprint is not Node.fingerprint:
        known = known_node(node, nodes)
        parts.append(b"\0#" + (known.fingerprint().encode() if known is not None else os.urandom(32)))
        start = start if known is not None else UNREPEATABLE
    if computed_by:
        parts.append(f"\0@{computed_by}".encode())
    return start + sha256(b"".join(parts)).hexdigest()


def part_key(node_type: NodeType, part: str, computed_by: str = "") -> str:
    """The key of a part of a node's work, whatever graph it is done for: see ``Context.remember``."""
    return sha256(node_type.key_prefix + f"part\0{part}\0@{computed_by}".encode()).hexdigest()


def _left_out(cls: type[Node], settings: BaseModel) -> set[str]:
    if not cls.added:
        return set(cls.not_in_key)
    fields = cls.model_fields
    unset = {name for name in cls.added if getattr(settings, name, None) == fields[name].default}
    return unset | cls.not_in_key


def known_node(node: CheckedNode, nodes: Sequence[CheckedNode]) -> Node | None:
    """The node with the settings that plain values are wired to; None where running must tell them.

    Those that are ``only_for_run`` are their defaults until then.
    """
    if node.node is not None:
        return node.node
    values = {}
    for wire in node.wires:
        if wire.is_setting:
            source, output = wire.sources[0]
            known = known_outputs(nodes[source].settings)
            if known is None and wire.port in node.type.cls.only_for_run:
                continue
            if known is None:
                return None
            values[wire.port] = known[output]
    try:
        return node.type.cls(**(dict(node.settings) | values))
    except ValidationError:  # running the node will say so
        return None


def known_outputs(settings: BaseModel) -> tuple[object, ...] | None:
    """What a node with these settings gives, where no running is needed to know it; else None."""
    return settings.known_outputs() if isinstance(settings, Node) else None
