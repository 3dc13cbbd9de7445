"""The loader, imported when a model is first wanted: a run that the cache answers needs no torch."""

from __future__ import annotations

import gc
import sys
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from limner.engine.footprint import Footprint
from limner.engine.garbage import collector_paused
from limner.engine.models import ModelSpec, Report
from limner.engine.offload import Offload

if TYPE_CHECKING:
    from limner.nodes._flux2.loader import Flux2Loader


class OnDemandLoader:
    """``Flux2Loader`` for a model pool, behind the seconds that importing the frameworks takes."""

    @cached_property
    def _loader(self) -> Flux2Loader:
        # Everything that the nodes will want, at once: importing makes many objects that all stay, and the collector
        # would visit them again and again.
        is_first = "diffusers" not in sys.modules
        with collector_paused():
            from limner.nodes._flux2 import pipelines  # noqa: F401  # see above
            from limner.nodes._flux2.loader import Flux2Loader

            if is_first:
                gc.freeze()  # a pass when a model leaves costs most of a second otherwise
        return Flux2Loader()

    def fetch(self, spec: ModelSpec[Any], report: Report) -> None:
        """Bring the files of a spec to this machine. Raises ModelError, Cancelled."""
        self._loader.fetch(spec, report)

    def expect(self, spec: ModelSpec[Any], device: str, offload: Offload) -> Footprint:
        """What ``load`` will need. Raises ModelError."""
        return self._loader.expect(spec, device, offload)

    def load(self, spec: ModelSpec[Any], device: str, offload: Offload) -> Any:
        """The module of a base spec. Raises ModelError."""
        return self._loader.load(spec, device, offload)

    def place(self, module: Any, device: str) -> None:
        """Move a module that waits as a whole."""
        self._loader.place(module, device)

    def adapt(self, module: Any, spec: ModelSpec[Any]) -> AbstractContextManager[None]:
        """Make a resident module be a variant of its base for the length of a block. Raises ModelError."""
        return self._loader.adapt(module, spec)

    def footprint(self, module: Any, device: str, offload: Offload) -> Footprint:
        """What a live module takes."""
        return self._loader.footprint(module, device, offload)

    def release(self, device: str) -> None:
        """Give freed memory back to the device."""
        self._loader.release(device)
