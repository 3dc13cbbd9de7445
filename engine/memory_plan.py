"""Memory before anything loads: a simulated pool, step by step, with the same budgets and the same order of leaving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from limner.engine.device import HOST, Device
from limner.engine.forecast import Added, Forecast, Seen, Weigh, Weights, forecasts
from limner.engine.models import ModelSpec
from limner.engine.offload import Offload
from limner.engine.placement import RAM, Placement, placement
from limner.engine.plan import Plan, Step

RESERVED_BYTES: Final = 1 << 30
"""What a device keeps for its context, other programs and the allocator's gaps, where nobody says what may be used."""
DISK_BYTES_PER_S: Final = 2e9
"""A rate to plan with: an NVMe drive, read in order."""
BUS_BYTES_PER_S: Final = 20e9
"""A rate to plan with: PCI Express 4.0 with 16 lanes, from pinned memory."""


def usable_bytes(devices: Mapping[str, Device], given: Mapping[str, int]) -> dict[str, int]:
    """What may be used of each device whose memory is known: what is given, else all but what is reserved."""
    sizes = {name: device.memory_bytes for name, device in devices.items()}
    known = {name: max(size - RESERVED_BYTES, size // 2) for name, size in sizes.items() if size is not None}
    return known | dict(given)


def written(size_bytes: int) -> str:
    """Bytes for people.

    >>> written(446_600_000)
    '446.6 MB'
    >>> written(1_000)
    '1.0 kB'
    """
    unit, scale = ("GB", 1e9) if size_bytes >= 1e9 else ("MB", 1e6) if size_bytes >= 1e6 else ("kB", 1e3)
    return f"{size_bytes / scale:.1f} {unit}"


@dataclass(frozen=True)
class HeldModel:
    """A model that a step holds."""

    name: str
    weight_bytes: int
    """All of it."""
    device_bytes: int
    """What of it is on the device at once."""
    ram_bytes: int
    """What of it waits in RAM."""
    is_loaded: bool
    """Whether it is loaded for this step, or was there already."""
    origin: str
    """What its bytes were counted from."""


@dataclass(frozen=True)
class PlannedStep:
    """One node: what it holds and needs, and what is where while it runs."""

    node: str
    type: str
    device: str
    lane: str
    offload: Offload
    models: tuple[HeldModel, ...]
    working_bytes: int
    resident: Mapping[str, Mapping[str, int]]
    """Bytes of weights while the step runs, by device and model."""
    peak_bytes: Mapping[str, int]
    """Weights and activations at most at one time, by device."""
    left: tuple[str, ...]
    """Models that make room before it."""
    load_s: float
    """Reading and moving weights, at the rates above."""
    note: str
    adds: tuple[Added, ...] = ()
    """What each thing of several that it reads adds to its activations."""
    unknown: str = ""
    """Why nothing is known of its needs; empty where they are known."""


@dataclass(frozen=True)
class Overflow:
    """A step that needs more than there is."""

    node: str
    device: str
    needed_bytes: int
    usable_bytes: int

    @property
    def lacking_bytes(self) -> int:
        """What is missing."""
        return self.needed_bytes - self.usable_bytes

    def __str__(self) -> str:
        needed, usable, lacking = map(written, (self.needed_bytes, self.usable_bytes, self.lacking_bytes))
        return f"{self.node} needs {needed} on {self.device}, which has {usable}: {lacking} too much"


@dataclass(frozen=True)
class MemoryPlan:
    """What a run will take, by device and step. Values on wires and the process itself are not counted."""

    steps: tuple[PlannedStep, ...]
    usable_bytes: Mapping[str, int]
    overflows: tuple[Overflow, ...]

    @property
    def fits(self) -> bool:
        """Whether no device is asked for more than may be used of it."""
        return not self.overflows

    @property
    def peak_bytes(self) -> dict[str, int]:
        """The most that each device and RAM (``cpu``) hold at one time."""
        peaks: dict[str, int] = {}
        for step in self.steps:
            for device, size in step.peak_bytes.items():
                peaks[device] = max(size, peaks.get(device, 0))
        return peaks

    @property
    def load_s(self) -> float:
        """Seconds spent on reading and moving weights."""
        return sum(step.load_s for step in self.steps)


def plan_memory(
    plan: Plan, weigh: Weigh, usable: Mapping[str, int], policies: Sequence[Offload] | None = None
) -> MemoryPlan:
    """Simulate a plan's models on devices of which so much is usable; those that are not named have no limit.

    ``policies`` replace those of the steps. Raises nothing for what does not fit: ``overflows`` tells.
    """
    seen = forecasts(plan)
    return simulate(plan.steps, seen, weigh, usable, policies or [step.offload for step in plan.steps])


def simulate(
    steps: Sequence[Step],
    seen: Sequence[Seen],
    weigh: Weigh,
    usable: Mapping[str, int],
    policies: Sequence[Offload],
) -> MemoryPlan:
    """As ``plan_memory``, from forecasts that were made before."""
    pool = _Pool(weigh, usable)
    planned = [pool.run(*row) for row in zip(steps, seen, policies, strict=True)]
    return MemoryPlan(tuple(planned), dict(usable), tuple(pool.overflows))


@dataclass
class _Model:
    spec: ModelSpec[Any]
    device: str
    weights: Weights
    policy: Offload
    placement: Placement
    is_held: bool = False
    last_use: int = 0

    def bytes_on(self, device: str) -> int:
        """What it takes there; while it is held, with what it takes there on its way."""
        footprint = self.placement.footprint
        waiting = footprint.waiting.get(device, 0)
        return max(waiting, footprint.held.get(device, 0)) if self.is_held else waiting

    def loading_on(self, device: str) -> int:
        """What being loaded takes there, beyond what being held does."""
        return max(0, self.placement.footprint.loading.get(device, 0) - self.bytes_on(device))


@dataclass
class _Pool:
    """The model pool without models."""

    weigh: Weigh
    usable: Mapping[str, int]
    overflows: list[Overflow] = field(default_factory=list)
    _models: dict[tuple[ModelSpec[Any], str, Offload], _Model] = field(default_factory=dict)
    _clock: int = 0

    def run(self, step: Step, seen: Seen, policy: Offload) -> PlannedStep:
        forecast = seen.forecast or Forecast()
        held, loads = [], []
        adapter_bytes, load_s = 0, 0.0
        for spec in forecast.holds:
            weights = self.weigh(spec, step.device)
            model, is_loaded, seconds = self._hold(spec, step.device, weights, policy, forecast.passes)
            held.append(model)
            loads.append(is_loaded)
            load_s += seconds
            adapter_bytes += weights.adapter_bytes
        extra = {step.device: forecast.working_bytes + adapter_bytes} if held or forecast.working_bytes else {}
        loaded = [model for model, is_new in zip(held, loads, strict=True) if is_new]
        for device in dict.fromkeys((*extra, RAM)) if loaded else ():  # loading is over when computing begins
            if needed := max(model.loading_on(device) for model in loaded):
                extra[device] = max(extra.get(device, 0), needed)
        left = self._make_room(held, extra)
        peaks = self._peaks(step, extra)
        planned = PlannedStep(
            node=step.node.id,
            type=step.node.type.name,
            device=step.device,
            lane=step.lane,
            offload=policy,
            models=tuple(_described(model, is_new) for model, is_new in zip(held, loads, strict=True)),
            working_bytes=forecast.working_bytes,
            resident=self._resident(),
            peak_bytes=peaks,
            left=tuple(left),
            load_s=load_s,
            note=forecast.note,
            adds=forecast.adds,
            unknown=seen.reason if step.lane != HOST else "",
        )
        for model in held:
            model.is_held = False
        return planned

    def _hold(
        self, spec: ModelSpec[Any], device: str, weights: Weights, policy: Offload, passes: int
    ) -> tuple[_Model, bool, float]:
        """The model while it is held, whether it was loaded for that, and the seconds that all its moving takes."""
        place = placement(weights, policy, device)
        model = self._models.get((spec.base, device, policy))
        is_loaded = model is None
        disk, bus = passes * place.pass_disk_bytes, passes * place.pass_bus_bytes + place.hold_bus_bytes
        if model is None:
            model = self._models[spec.base, device, policy] = _Model(spec.base, device, weights, policy, place)
            disk, bus = disk + place.load_disk_bytes, bus + place.load_bus_bytes
        model.is_held = True
        self._clock += 1
        model.last_use = self._clock
        return model, is_loaded, disk / DISK_BYTES_PER_S + bus / BUS_BYTES_PER_S

    def _make_room(self, held: Sequence[_Model], extra: Mapping[str, int]) -> list[str]:
        """Let go of what nobody holds, least recently used first, until all fits where there are limits."""
        left = []
        for device in dict.fromkeys([*extra, *([RAM] if held else [])]):
            limit = self.usable.get(device)
            if limit is None:
                continue
            for model in leaving(self._models.values(), held, limit - extra.get(device, 0), device):
                del self._models[model.spec, model.device, model.policy]
                left.append(str(model.spec))
        return left

    def _peaks(self, step: Step, extra: Mapping[str, int]) -> dict[str, int]:
        """Bytes by device while a step runs; notes where that is more than there is."""
        devices = dict.fromkeys([*extra, *(model.device for model in self._models.values())])
        if self._used(RAM):
            devices[RAM] = None
        peaks = {device: self._used(device) + extra.get(device, 0) for device in devices}
        for device in dict.fromkeys((*extra, RAM)) if extra else ():
            limit = self.usable.get(device)
            if limit is not None and peaks.get(device, 0) > limit:
                self.overflows.append(Overflow(step.node.id, device, peaks[device], limit))
        return peaks

    def _used(self, device: str) -> int:
        return sum(model.bytes_on(device) for model in self._models.values())

    def _resident(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for model in self._models.values():
            for device in dict.fromkeys((model.device, RAM)):
                if size := model.bytes_on(device):
                    found.setdefault(device, {})[str(model.spec)] = size
        return found


def leaving(models: Iterable[_Model], held: Sequence[_Model], limit: int, device: str) -> list[_Model]:
    """Which models go, so that those on a device take no more than ``limit``: least recently used first."""
    here = [model for model in models if model.bytes_on(device)]
    specs = [model.spec for model in held]  # the same weights under another policy go first, as in the pool
    here.sort(key=lambda model: (model.spec not in specs, model.last_use))
    used = sum(model.bytes_on(device) for model in here)
    gone: list[_Model] = []
    for model in here:
        if used <= limit:
            break
        if not any(model is one for one in held):
            used -= model.bytes_on(device)
            gone.append(model)
    return gone


def _described(model: _Model, is_loaded: bool) -> HeldModel:
    footprint = model.placement.footprint
    return HeldModel(
        name=str(model.spec),
        weight_bytes=model.weights.weight_bytes,
        device_bytes=footprint.held.get(model.device, 0),
        ram_bytes=footprint.waiting.get(RAM, 0) if model.device != RAM else 0,
        is_loaded=is_loaded,
        origin=model.weights.origin,
    )
