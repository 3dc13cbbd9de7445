"""Limner: a typed node-graph engine for FLUX.2.

>>> import limner
>>> limner.run("text_to_image", prompt="a large red circle on a #203040 background", seed=7)  # doctest: +SKIP

Importing this costs nothing: what a name stands for is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.engine.check import check
    from limner.engine.context import Context
    from limner.engine.errors import (
        Cancelled,
        DeviceError,
        Fault,
        GraphError,
        InputError,
        LimnerError,
        ModelError,
        NodeFailed,
    )
    from limner.engine.events import EventStream
    from limner.engine.node import Node
    from limner.engine.offload import Offload
    from limner.engine.registry import Registry
    from limner.engine.result import Result
    from limner.graph import Graph
    from limner.new_sweep import sweep
    from limner.session import Session, plan, run
    from limner.sweeps import Sweep

_HOMES = {
    "limner.engine.check": ("check",),
    "limner.engine.context": ("Context",),
    "limner.engine.errors": (
        "Cancelled",
        "DeviceError",
        "Fault",
        "GraphError",
        "InputError",
        "LimnerError",
        "ModelError",
        "NodeFailed",
    ),
    "limner.engine.events": ("EventStream",),
    "limner.engine.node": ("Node",),
    "limner.engine.offload": ("Offload",),
    "limner.engine.registry": ("Registry",),
    "limner.engine.result": ("Result",),
    "limner.graph": ("Graph",),
    "limner.new_sweep": ("sweep",),
    "limner.session": ("Session", "plan", "run"),
    "limner.sweeps": ("Sweep",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Cancelled",
    "Context",
    "DeviceError",
    "EventStream",
    "Fault",
    "Graph",
    "GraphError",
    "InputError",
    "LimnerError",
    "ModelError",
    "Node",
    "NodeFailed",
    "Offload",
    "Registry",
    "Result",
    "Session",
    "Sweep",
    "check",
    "plan",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
