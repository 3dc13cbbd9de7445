"""Checking what a node returned against what its type says."""

from __future__ import annotations

from typing import Any

from limner.engine.node import NodeType
from limner.engine.value import fits


def checked_outputs(node_type: NodeType, returned: Any) -> tuple[Any, ...]:
    """What ``run`` returned, as one value a port. Raises TypeError where it is not what the type says."""
    ports = node_type.outputs
    if not ports:
        values: tuple[Any, ...] = ()
    elif len(ports) == 1 and not (isinstance(returned, tuple) and hasattr(returned, "_fields")):
        values = (returned,)
    else:
        values = tuple(returned)
    if len(values) != len(ports):
        raise TypeError(f"{node_type.name}.run gave {len(values)} outputs, not {len(ports)}")
    has_numbers = False
    for port, value in zip(ports, values, strict=True):
        has_numbers |= port.type is float
        if type(value) is not port.type and not fits(type(value), port.type):
            raise TypeError(
                f"{node_type.name}.run gave {type(value).__name__} as {port.name}, not {port.type.__name__}"
            )
    if has_numbers:  # an integer may stand for a number; it is kept as one
        return tuple(float(v) if port.type is float else v for port, v in zip(ports, values, strict=True))
    return values
