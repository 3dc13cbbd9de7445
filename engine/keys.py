"""Cache keys: a Merkle hash of what a node's outputs depend on, and of nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256

from limner.engine.checked import CheckedNode
from limner.engine.node import Node


def node_keys(nodes: Sequence[CheckedNode]) -> list[str]:
    """The key of every node, in order; nodes must stand after what they need. O(nodes + wires).

    A key covers the type, its version, the settings, the node's own fingerprint (files it names, by content) and
    the keys of what it is wired to. Ids, devices and positions are not part of it.
    Where a setting is wired, a fingerprint can only be taken while running: such a node gets a new key each time.
    Raises whatever a fingerprint raises, such as InputError for a file that is gone.
    """
    keys: list[str] = []
    for node in nodes:
        keys.append(_key(node, keys))  # each key needs those before it
    return keys


def _key(node: CheckedNode, keys: Sequence[str]) -> str:
    settings = node.settings
    text = settings.__pydantic_serializer__.to_json(settings)
    parts = [node.type.key_prefix, text]
    for wire in sorted(node.wires, key=lambda wire: wire.port) if len(node.wires) > 1 else node.wires:
        sources = ",".join(f"{keys[source]}.{output}" for source, output in wire.sources)
        parts.append(f"\0{wire.port}={sources}".encode())
    if node.type.cls.fingerprint is not Node.fingerprint:
        parts.append(b"\0#" + (settings.fingerprint().encode() if isinstance(settings, Node) else os.urandom(32)))
    return sha256(b"".join(parts)).hexdigest()
