"""The model pool: one live module a base spec and device, kept while memory allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from limner.engine.errors import DeviceError, ModelError
from limner.engine.models import ModelSpec

M = TypeVar("M")


class Loader(Protocol):
    """What turns specs into modules; the only part of the pool that knows a framework."""

    def load(self, spec: ModelSpec[Any], device: str) -> Any:
        """The module of a base spec, on a device. Raises ModelError."""
        ...

    def adapt(self, module: Any, spec: ModelSpec[Any]) -> AbstractContextManager[None]:
        """Make the resident module of ``spec.base`` be ``spec`` for the length of a block. Raises ModelError."""
        ...

    def size_bytes(self, module: Any) -> int:
        """Bytes of a live module: parameters and buffers."""
        ...

    def release(self, device: str) -> None:
        """Give freed memory back to the device, after modules were dropped."""
        ...


@dataclass
class Resident:
    """A module that is alive."""

    spec: ModelSpec[Any]
    device: str
    module: Any
    size_bytes: int
    holders: int = 0
    """Who uses it or waits for a turn."""
    last_use: int = 0
    turn: threading.RLock = field(default_factory=threading.RLock)
    """One thread at a time: what a variant adds is part of the module while it is held."""
    held_as: ModelSpec[Any] | None = None
    users: int = 0
    """How often it is held at this moment."""
    adapters: ExitStack = field(default_factory=ExitStack)
    """What takes the variant off again."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Something that the pool did: for logs, events and reports."""

    spec: ModelSpec[Any]
    device: str
    size_bytes: int
    was_loaded: bool
    """True for a load, False for a module that was dropped to make room."""


@dataclass
class ModelPool:
    """Modules by base spec and device. Loading is serial per device; held modules are never dropped.

    A variant (a LoRA stack) is put on the resident module while it is held, and taken off again.

    ``budget_bytes`` limits a device: after a load, least recently used modules that nobody holds are dropped until
    the rest fits. A device without a budget keeps everything.
    """

    loader: Loader
    budget_bytes: Mapping[str, int] = field(default_factory=dict)
    watch: Callable[[Loaded], None] = field(default=lambda loaded: None)
    _residents: dict[tuple[ModelSpec[Any], str], Resident] = field(default_factory=dict, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _loading: dict[str, threading.Lock] = field(default_factory=dict, init=False)
    _clock: int = field(default=0, init=False)

    @contextmanager
    def hold(self, spec: ModelSpec[M], device: str) -> Iterator[M]:
        """The live module of a spec, for the length of the block. Loads it where it is not resident.

        Raises ModelError where it cannot be loaded, DeviceError where the device's memory is not enough.
        """
        resident = self._acquire(spec.base, device)
        try:
            with resident.turn, self._variant(resident, spec):
                yield resident.module
        finally:
            with self._lock:
                resident.holders -= 1

    @contextmanager
    def _variant(self, resident: Resident, spec: ModelSpec[Any]) -> Iterator[None]:
        """Turn a resident module into a variant of its base, and back when the last of its users is done.

        Users of one thread may overlap in any order, as tasks of one event loop do.
        """
        if resident.held_as not in (None, spec):
            raise ModelError(f"{spec} and {resident.held_as} share their weights: they cannot be held at once")
        if resident.held_as is None and spec != resident.spec:
            resident.adapters.enter_context(self.loader.adapt(resident.module, spec))
            resident.size_bytes = self.loader.size_bytes(resident.module)
        resident.held_as = spec
        resident.users += 1
        try:
            yield
        finally:
            resident.users -= 1
            if not resident.users:
                resident.held_as = None
                if spec != resident.spec:
                    resident.adapters.close()
                    resident.size_bytes = self.loader.size_bytes(resident.module)

    def residents(self) -> list[Resident]:
        """What is alive, most recently used first."""
        with self._lock:
            return sorted(self._residents.values(), key=lambda resident: -resident.last_use)

    def used_bytes(self, device: str) -> int:
        """Bytes of the modules that are alive on a device."""
        with self._lock:
            return sum(r.size_bytes for r in self._residents.values() if r.device == device)

    def clear(self, device: str | None = None) -> None:
        """Drop every module that nobody holds."""
        with self._lock:
            for key, resident in list(self._residents.items()):
                if not resident.holders and device in (None, resident.device):
                    self._drop(key)

    def _acquire(self, base: ModelSpec[Any], device: str) -> Resident:
        with self._lock:
            loading = self._loading.setdefault(device, threading.Lock())
        with loading:
            with self._lock:
                resident = self._residents.get((base, device))
                if resident is not None:
                    return self._use(resident)
            module = self.loader.load(base, device)
            resident = Resident(base, device, module, self.loader.size_bytes(module))
            with self._lock:
                self._residents[base, device] = self._use(resident)
                self.watch(Loaded(base, device, resident.size_bytes, was_loaded=True))
                self._make_room(device)
            return resident

    def _use(self, resident: Resident) -> Resident:
        self._clock += 1
        resident.last_use = self._clock
        resident.holders += 1
        return resident

    def _make_room(self, device: str) -> None:
        budget = self.budget_bytes.get(device)
        if budget is None:
            return
        idle = sorted(
            (r for r in self._residents.values() if r.device == device and not r.holders), key=lambda r: r.last_use
        )
        while self.used_bytes(device) > budget and idle:
            oldest = idle.pop(0)
            self._drop((oldest.spec, device))
        if (used := self.used_bytes(device)) > budget:
            newest = max((r for r in self._residents.values() if r.device == device), key=lambda r: r.last_use)
            newest.holders -= 1
            self._drop((newest.spec, device))
            raise DeviceError(
                f"{newest.spec} does not fit on {device}: it would make {used / 1e9:.1f} GB of {budget / 1e9:.1f} GB",
                hint="raise the budget, or choose another device or a smaller model",
            )

    def _drop(self, key: tuple[ModelSpec[Any], str]) -> None:
        resident = self._residents.pop(key)
        resident.module = None
        self.watch(Loaded(resident.spec, resident.device, resident.size_bytes, was_loaded=False))
        self.loader.release(resident.device)
