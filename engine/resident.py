"""A module that is alive in the model pool, and what makes it so."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from limner.engine.footprint import Footprint
from limner.engine.models import ModelSpec, Report
from limner.engine.offload import Offload


class Loader(Protocol):
    """What turns specs into modules; the only part of the pool that knows a framework."""

    def fetch(self, spec: ModelSpec[Any], report: Report) -> None:
        """Bring the files of a spec to this machine, where they are not there yet. Raises ModelError, Cancelled."""
        ...

    def expect(self, spec: ModelSpec[Any], device: str, offload: Offload) -> Footprint:
        """What ``load`` will need, told from the files without reading weights. Raises ModelError."""
        ...

    def load(self, spec: ModelSpec[Any], device: str, offload: Offload) -> Any:
        """The module of a base spec, which will compute on a device, with its weights where they wait.

        Raises ModelError, DeviceError.
        """
        ...

    def place(self, module: Any, device: str) -> None:
        """Move a module whose policy is ``model``: to its device, or to wait on the CPU."""
        ...

    def adapt(self, module: Any, spec: ModelSpec[Any]) -> AbstractContextManager[None]:
        """Make the resident module of ``spec.base`` be ``spec`` for the length of a block. Raises ModelError."""
        ...

    def footprint(self, module: Any, device: str, offload: Offload) -> Footprint:
        """What a live module takes: parameters, buffers, quantization state."""
        ...

    def release(self, device: str) -> None:
        """Give freed memory back to the device, after modules were dropped."""
        ...


Key = tuple[ModelSpec[Any], str, Offload]


@dataclass
class Resident:
    """A module that is alive."""

    spec: ModelSpec[Any]
    device: str
    """Where it computes."""
    offload: Offload
    footprint: Footprint
    """While it loads, what is expected of it."""
    module: Any = None
    holders: int = 0
    """Who uses it or waits for a turn."""
    last_use: int = 0
    turn: threading.RLock = field(default_factory=threading.RLock)
    """One thread at a time: what a variant adds is part of the module while it is held."""
    state: Literal["moving", "waiting", "held"] = "moving"
    """Being loaded or moved; where it waits; or where it computes, which without offload is the same. It changes, and
    with it ``bytes_on``, only while the pool's lock is held: other lanes count it.
    """
    held_as: ModelSpec[Any] | None = None
    users: int = 0
    """How often it is held at this moment."""
    adapters: ExitStack = field(default_factory=ExitStack)
    """What takes the variant off again."""

    @property
    def key(self) -> Key:
        """Two policies of one model are two residents."""
        return self.spec, self.device, self.offload

    @property
    def waits(self) -> bool:
        """Whether its weights are elsewhere while nobody holds them."""
        return self.offload.mode in ("model", "group")

    @property
    def bytes_on(self) -> Mapping[str, int]:
        """What it takes of every device at this moment."""
        if self.state == "moving":
            return self.footprint.peak
        return self.footprint.held if self.state == "held" else self.footprint.waiting
