"""Models that weigh what they say, and a loader that notes what it does, for the tests of the pool."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from limner.engine import events as ev
from limner.engine.errors import ModelError
from limner.engine.footprint import Footprint
from limner.engine.models import ModelSpec, Report
from limner.engine.offload import Offload
from limner.engine.pool import ModelPool

GROUP = 2
"""What group offloading brings at once."""


IN_RAM, ON_DISK, WHOLE = Offload(mode="group"), Offload(mode="group", disk="x"), Offload(mode="model")


@dataclass(frozen=True)
class Spec(ModelSpec[Any]):
    name: str
    size: int = 10
    lora: str = ""

    @property
    def base(self) -> Spec:
        return Spec(self.name, self.size)


class Module:
    def __init__(self, size: int) -> None:
        self.size = size
        self.lora = ""


@dataclass
class FakeLoader:
    """Counts, and watches what is alive."""

    loads: list[tuple[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    releases: Callable[[], None] = lambda: None
    """Called where memory is given back."""
    fetches: Callable[[str], None] = lambda name: None
    """Called where a model is downloaded."""
    alive: weakref.WeakSet[Module] = field(default_factory=weakref.WeakSet)
    fails: bool = False
    loading: int = 0
    worn: list[str] = field(default_factory=list)
    peak_bytes: int = 0
    hidden_bytes: int = 0
    """What a module has besides what its files say."""
    placed: list[str] = field(default_factory=list)
    places: Callable[[str], None] = lambda device: None
    """Called where a module is moved."""
    loading_needs: dict[str, int] = field(default_factory=dict)

    def fetch(self, spec: Any, report: Report) -> None:
        report(ev.ModelFetching, spec.name, 0, spec.size)
        self.fetches(spec.name)

    def expect(self, spec: Any, device: str, offload: Offload) -> Footprint:
        return replace(Footprint.of(spec.size, device, offload, GROUP), loading=self.loading_needs)

    def load(self, spec: Any, device: str, offload: Offload) -> Any:
        self.loading += 1
        self.loads.append((spec.name, device))
        try:
            if self.fails:
                raise ModelError("no such weights")
            module = Module(spec.size + self.hidden_bytes)
            self.alive.add(module)
            self.peak_bytes = max(self.peak_bytes, sum(one.size for one in self.alive))
            return module
        finally:
            self.loading -= 1

    @contextmanager
    def adapt(self, module: Any, spec: Any) -> Iterator[None]:
        if spec.lora == "broken":
            raise ModelError("misfits")
        module.lora, module.size = spec.lora, module.size + 1
        self.worn.append(spec.lora)
        yield
        if spec.lora == "sticky":
            raise ModelError("it does not come off")
        module.lora, module.size = "", module.size - 1

    def place(self, module: Any, device: str) -> None:
        self.placed.append(device)
        self.places(device)

    def footprint(self, module: Any, device: str, offload: Offload) -> Footprint:
        return Footprint.of(module.size, device, offload, GROUP)

    def release(self, device: str) -> None:
        self.released.append(device)
        self.releases()


def names(pool: ModelPool) -> list[str]:
    return [resident.spec.name for resident in pool.residents()]
