"""The model pool: one live module a base spec, device and offload policy, kept while memory allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from limner.engine import events as ev
from limner.engine.errors import DeviceError, ModelError
from limner.engine.models import ModelSpec, Report, unheard
from limner.engine.offload import NONE, Offload
from limner.engine.resident import Key, Loader, Resident

M = TypeVar("M")


Dropped = tuple[Resident, str, int]
"""What made room: from which device, and how large it was there."""


@dataclass
class ModelPool:
    """Modules by base spec, device and offload policy. Loading is serial per device; held modules are never dropped.

    A variant (a LoRA stack) is put on the resident module while it is held, and taken off again. So are the weights of
    a module that waits elsewhere, where its policy is ``model``.

    ``budget_bytes`` limits a device, and ``cpu`` the RAM where offloaded weights wait: before a load or a move, least
    recently used modules that nobody holds are dropped until what comes fits beside the rest, so that not even a swap
    needs more. A device without a budget keeps everything.
    """

    loader: Loader
    budget_bytes: Mapping[str, int] = field(default_factory=dict)
    _residents: dict[Key, Resident] = field(default_factory=dict, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _loading: dict[str, threading.Lock] = field(default_factory=dict, init=False)
    _clock: int = field(default=0, init=False)

    @contextmanager
    def hold(
        self,
        spec: ModelSpec[M],
        device: str,
        report: Report = unheard,
        offload: Offload = NONE,
        working_bytes: int = 0,
    ) -> Iterator[M]:
        """The live module of a spec, for the length of the block. Loads it where it is not resident.

        Raises ModelError where it cannot be loaded, DeviceError where the device's memory is not enough. It never
        waits for others to make room: a device has one lane, so that they would be waiting for this block. Only another
        thread that holds the same weights is waited for.
        """
        with self._turn((spec.base, device, offload), report) as resident, self._variant(resident, spec, report):
            self._free(resident, working_bytes, report)
            yield resident.module

    @contextmanager
    def _turn(self, key: Key, report: Report) -> Iterator[Resident]:
        """A resident that is alive, for this thread alone."""
        while True:
            resident = self._acquire(key, report)
            try:
                with resident.turn:
                    if resident.module is not None:  # else whoever had it before had to drop it
                        yield resident
                        return
            finally:
                with self._lock:
                    resident.holders -= 1

    @contextmanager
    def _variant(self, resident: Resident, spec: ModelSpec[Any], report: Report) -> Iterator[None]:
        """Bring a resident module and turn it into a variant of its base, and undo both after the last of its users.

        Users of one thread may overlap in any order, as tasks of one event loop do.
        """
        if resident.held_as not in (None, spec):
            raise ModelError(f"{spec} and {resident.held_as} share their weights: they cannot be held at once")
        if resident.held_as is None:
            self._bring(resident, report)
            try:
                if spec != resident.spec:
                    resident.adapters.enter_context(self.loader.adapt(resident.module, spec))
                    self._measure(resident)
            except BaseException:
                self._undo(resident, spec)
                raise
        resident.held_as = spec
        resident.users += 1
        try:
            yield
        finally:
            resident.users -= 1
            if not resident.users:
                resident.held_as = None
                self._undo(resident, spec)

    def _undo(self, resident: Resident, spec: ModelSpec[Any]) -> None:
        """Take a variant off and put the weights back. A module of which that leaves only a part undone is dropped."""
        try:
            if spec != resident.spec:
                resident.adapters.close()
                self._measure(resident)
            self._put_back(resident)
        except BaseException:
            self._discard(resident)
            raise

    def _free(self, resident: Resident, working_bytes: int, report: Report) -> None:
        """Have so much free where a resident computes, besides its weights. Raises DeviceError."""
        with self._lock:
            needs = {resident.device: resident.bytes_on.get(resident.device, 0) + working_bytes}
            dropped = self._make_room(resident.spec, needs if working_bytes else {}, besides=resident)
        self._let_go(dropped, report)

    def _measure(self, resident: Resident) -> None:
        footprint = self.loader.footprint(resident.module, resident.device, resident.offload)
        with self._lock:
            resident.footprint = footprint

    def _bring(self, resident: Resident, report: Report) -> None:
        """Have a resident where it computes. Raises DeviceError where there is no room for it."""
        if resident.state == "held":
            return
        with self._lock:
            dropped = self._make_room(resident.spec, resident.footprint.held, besides=resident)
            resident.state = "moving"
        try:
            self._let_go(dropped, report)
            if resident.offload.mode == "model":
                self.loader.place(resident.module, resident.device)
        except BaseException:
            self._undo(resident, resident.spec)
            raise
        with self._lock:
            resident.state = "held"

    def _put_back(self, resident: Resident) -> None:
        """Let the weights wait where their policy says. Where RAM has no room for them any more, they go."""
        if not resident.waits:
            return
        try:
            with self._lock:
                dropped = self._make_room(resident.spec, resident.footprint.waiting, besides=resident)
                resident.state = "moving"
        except DeviceError:
            if resident.holders == 1:  # else the next holder finds them on the device, and puts them back
                self._discard(resident)
            return
        self._let_go(dropped)
        if resident.offload.mode == "model":
            self.loader.place(resident.module, "cpu")
        with self._lock:
            resident.state = "waiting"

    def residents(self) -> list[Resident]:
        """What is alive, most recently used first."""
        with self._lock:
            alive = (resident for resident in self._residents.values() if resident.module is not None)
            return sorted(alive, key=lambda resident: -resident.last_use)

    def free(self) -> None:
        """Let every model go that nobody holds."""
        with self._lock:
            idle = [one for one in self._residents.values() if one.module is not None and not one.holders]
            for resident in idle:
                self._drop(resident)
        self._release(idle)

    def used_bytes(self, device: str, besides: Resident | None = None) -> int:
        """Bytes of the modules that are alive on a device, or being loaded to it; without those of ``besides``."""
        with self._lock:
            return sum(r.bytes_on.get(device, 0) for r in self._residents.values() if r is not besides)

    def _acquire(self, key: Key, report: Report) -> Resident:
        base, device, offload = key
        with self._lock:
            loading = self._loading.setdefault(device, threading.Lock())
            if (resident := self._residents.get(key)) is not None and resident.module is not None:
                return self._use(resident)
        self.loader.fetch(base, report)  # here, so that nobody waits for a download but who needs it
        with loading:
            with self._lock:
                if (resident := self._residents.get(key)) is not None:
                    return self._use(resident)
            resident = Resident(base, device, offload, self.loader.expect(base, device, offload))
            try:
                seconds = self._load(resident, report)
            except BaseException:
                self._discard(resident)
                raise
            try:
                report(ev.ModelLoaded, str(base), device, sum(resident.bytes_on.values()), seconds)
            except BaseException:  # the module stays, unheld
                with self._lock:
                    resident.holders -= 1
                raise
            return resident

    def _load(self, resident: Resident, report: Report) -> float:
        """Fill a resident, whose place is taken before its weights are read. Gives the seconds that it took."""
        base, device, offload = resident.key
        with self._lock:
            dropped = self._make_room(base, resident.footprint.peak)
            self._residents[resident.key] = self._use(resident)
        self._let_go(dropped, report)
        needed = sum(resident.footprint.waiting.values())
        report(ev.ModelLoading, str(base), device, needed)
        started_at = time.perf_counter()
        module = self.loader.load(base, device, offload)
        seconds = time.perf_counter() - started_at
        footprint = self.loader.footprint(module, device, offload)
        try:
            with self._lock:
                resident.footprint = footprint
                dropped = self._make_room(base, footprint.peak, besides=resident)  # no file tells of buffers
        except DeviceError:
            del module  # before memory is given back
            raise
        self._let_go(dropped, report)
        with self._lock:
            resident.module = module
            resident.state = "waiting" if resident.waits else "held"
        return seconds

    def _use(self, resident: Resident) -> Resident:
        self._clock += 1
        resident.last_use = self._clock
        resident.holders += 1
        return resident

    def _make_room(
        self, base: ModelSpec[Any], needs: Mapping[str, int], besides: Resident | None = None
    ) -> list[Dropped]:
        """Drop what nobody holds until ``needs`` fit, and say what was dropped: from where, and how large it was.

        The same weights under another policy go first, then the least recently used. ``besides`` is the resident that
        the needs are of. Drops nothing where that would not be enough: DeviceError. The lock is held; whoever holds it
        lets go of what was dropped after it, for collecting garbage takes long.
        """
        limited = {device: self.budget_bytes[device] for device in needs if device in self.budget_bytes}
        others = [resident for resident in self._residents.values() if resident is not besides]
        for device, budget in limited.items():
            held = [one for one in others if one.holders and one.bytes_on.get(device)]
            if needs[device] and needs[device] + sum(one.bytes_on.get(device, 0) for one in held) > budget:
                raise _does_not_fit(base, device, needs[device], budget, held)
        dropped: list[Dropped] = []
        for device, budget in limited.items():
            for one in sorted(others, key=lambda one: (one.spec != base, one.last_use)):
                if needs[device] + self.used_bytes(device, besides) <= budget:
                    break
                if not one.holders and (size_bytes := one.bytes_on.get(device)):
                    self._drop(one)
                    others.remove(one)
                    dropped.append((one, device, size_bytes))
        return dropped

    def _drop(self, resident: Resident) -> None:
        """Forget a module. The lock is held."""
        if self._residents.get(resident.key) is resident:  # it may not have got a place yet
            del self._residents[resident.key]
        resident.module = None

    def _discard(self, resident: Resident) -> None:
        with self._lock:
            self._drop(resident)
        self._release([resident])

    def _let_go(self, dropped: list[Dropped], report: Report = unheard) -> None:
        """Give back the memory of what was dropped, and tell. The lock is not held."""
        self._release([resident for resident, _, _ in dropped])
        for resident, device, size_bytes in dropped:
            report(ev.ModelDropped, str(resident.spec), device, size_bytes)

    def _release(self, residents: list[Resident]) -> None:
        for device in dict.fromkeys(device for resident in residents for device in resident.bytes_on):
            self.loader.release(device)


def _does_not_fit(base: ModelSpec[Any], device: str, needed: int, budget: int, held: list[Resident]) -> DeviceError:
    message = f"{base} needs {_gigabytes(needed)}, and {device} has {_gigabytes(budget)} for models"
    if needed > budget:
        return DeviceError(message, hint="choose a smaller model, a smaller dtype, or a device with more memory")
    names = " and ".join(f"{resident.spec} ({_gigabytes(resident.bytes_on.get(device, 0))})" for resident in held)
    return DeviceError(
        f"{message}, of which {names} cannot leave while in use",
        hint="hold one model after the other, or put one of them on another device",
    )


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.3g} MB"
