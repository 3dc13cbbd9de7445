"""The model pool: one live module a base spec and device, kept while memory allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from limner.engine import events as ev
from limner.engine.device import Device
from limner.engine.errors import DeviceError, ModelError
from limner.engine.models import ModelSpec, Report, unheard

M = TypeVar("M")

HEADROOM_BYTES: Final = 4 << 30
"""What a device keeps for all that is not weights: its context, other programs, and the activations of a step. An
estimate: activations grow with the picture and its references, and no file tells of them."""


def model_budgets(devices: Mapping[str, Device]) -> dict[str, int]:
    """Bytes that models may take on each device whose memory is known: all but the headroom, or half of a small one."""
    sizes = {name: device.memory_bytes for name, device in devices.items()}
    return {name: max(size - HEADROOM_BYTES, size // 2) for name, size in sizes.items() if size is not None}


class Loader(Protocol):
    """What turns specs into modules; the only part of the pool that knows a framework."""

    def fetch(self, spec: ModelSpec[Any], report: Report) -> None:
        """Bring the files of a spec to this machine, where they are not there yet. Raises ModelError, Cancelled."""
        ...

    def stored_bytes(self, spec: ModelSpec[Any], device: str) -> int:
        """Bytes that ``load`` will need on a device, told from the files without reading weights. Raises ModelError."""
        ...

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


@dataclass
class ModelPool:
    """Modules by base spec and device. Loading is serial per device; held modules are never dropped.

    A variant (a LoRA stack) is put on the resident module while it is held, and taken off again.

    ``budget_bytes`` limits a device: before a load, least recently used modules that nobody holds are dropped until
    the new one fits beside the rest, so that not even a swap needs more. A device without a budget keeps everything.
    """

    loader: Loader
    budget_bytes: Mapping[str, int] = field(default_factory=dict)
    _residents: dict[tuple[ModelSpec[Any], str], Resident] = field(default_factory=dict, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _loading: dict[str, threading.Lock] = field(default_factory=dict, init=False)
    _clock: int = field(default=0, init=False)

    @contextmanager
    def hold(self, spec: ModelSpec[M], device: str, report: Report = unheard) -> Iterator[M]:
        """The live module of a spec, for the length of the block. Loads it where it is not resident.

        Raises ModelError where it cannot be loaded, DeviceError where the device's memory is not enough. It never
        waits for others to make room: a device has one lane, so that they would be waiting for this block. Only another
        thread that holds the same weights is waited for.
        """
        resident = self._acquire(spec.base, device, report)
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

    def _acquire(self, base: ModelSpec[Any], device: str, report: Report) -> Resident:
        with self._lock:
            loading = self._loading.setdefault(device, threading.Lock())
        with loading:
            with self._lock:
                resident = self._residents.get((base, device))
                if resident is not None:
                    return self._use(resident)
            self.loader.fetch(base, report)
            needed = self.loader.stored_bytes(base, device)
            self._make_room(base, device, needed, report)
            report(ev.ModelLoading, str(base), device, needed)
            started_at = time.perf_counter()
            module = self.loader.load(base, device)
            seconds = time.perf_counter() - started_at
            size_bytes = self.loader.size_bytes(module)
            if size_bytes > needed:  # files say nothing of buffers that are computed
                try:
                    self._make_room(base, device, size_bytes, report)
                except BaseException:
                    del module
                    self.loader.release(device)
                    raise
            resident = Resident(base, device, module, size_bytes)
            with self._lock:
                self._residents[base, device] = resident
            report(ev.ModelLoaded, str(base), device, size_bytes, seconds)  # may raise: the module stays, unheld
            with self._lock:
                return self._use(resident)

    def _use(self, resident: Resident) -> Resident:
        self._clock += 1
        resident.last_use = self._clock
        resident.holders += 1
        return resident

    def _make_room(self, base: ModelSpec[Any], device: str, needed: int, report: Report) -> None:
        """Drop what nobody holds until a model fits. Drops nothing where that would not be enough: DeviceError."""
        budget = self.budget_bytes.get(device)
        if budget is None:
            return
        with self._lock:
            here = sorted((r for r in self._residents.values() if r.device == device), key=lambda r: r.last_use)
            held = [resident for resident in here if resident.holders]
            if needed + sum(resident.size_bytes for resident in held) > budget:
                raise _does_not_fit(base, device, needed, budget, held)
            dropped = []
            for resident in here:
                if needed + self.used_bytes(device) <= budget:
                    break
                if not resident.holders:
                    self._drop((resident.spec, device))
                    dropped.append(resident)
        for resident in dropped:
            report(ev.ModelDropped, str(resident.spec), device, resident.size_bytes)

    def _drop(self, key: tuple[ModelSpec[Any], str]) -> None:
        resident = self._residents.pop(key)
        resident.module = None
        self.loader.release(resident.device)


def _does_not_fit(base: ModelSpec[Any], device: str, needed: int, budget: int, held: list[Resident]) -> DeviceError:
    message = f"{base} needs {_gigabytes(needed)}, and {device} has {_gigabytes(budget)} for models"
    if needed > budget:
        return DeviceError(message, hint="choose a smaller model, a smaller dtype, or a device with more memory")
    names = " and ".join(f"{resident.spec} ({_gigabytes(resident.size_bytes)})" for resident in held)
    return DeviceError(
        f"{message}, of which {names} cannot leave while in use",
        hint="hold one model after the other, or put one of them on another device",
    )


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.3g} MB"
