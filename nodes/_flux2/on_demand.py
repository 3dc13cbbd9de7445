"""The loader, imported when a model is first wanted: a run that the cache answers needs no torch."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from limner.engine.garbage import collector_paused
from limner.engine.models import ModelSpec, Report

if TYPE_CHECKING:
    from limner.nodes._flux2.loader import Flux2Loader


class OnDemandLoader:
    """``Flux2Loader`` for a model pool, behind the seconds that importing the frameworks takes."""

    @cached_property
    def _loader(self) -> Flux2Loader:
        # Everything that the nodes will want, at once: importing makes many objects that all stay, and the collector
        # would visit them again and again.
        with collector_paused():
            from limner.nodes._flux2 import pipelines  # noqa: F401  # see above
            from limner.nodes._flux2.loader import Flux2Loader

        return Flux2Loader()

    def fetch(self, spec: ModelSpec[Any], report: Report) -> None:
        """Bring the files of a spec to this machine. Raises ModelError, Cancelled."""
        self._loader.fetch(spec, report)

    def stored_bytes(self, spec: ModelSpec[Any], device: str) -> int:
        """Bytes that ``load`` will need. Raises ModelError."""
        return self._loader.stored_bytes(spec, device)

    def load(self, spec: ModelSpec[Any], device: str) -> Any:
        """The module of a base spec. Raises ModelError."""
        return self._loader.load(spec, device)

    def adapt(self, module: Any, spec: ModelSpec[Any]) -> AbstractContextManager[None]:
        """Make a resident module be a variant of its base for the length of a block. Raises ModelError."""
        return self._loader.adapt(module, spec)

    def size_bytes(self, module: Any) -> int:
        """Bytes of a live module."""
        return self._loader.size_bytes(module)

    def release(self, device: str) -> None:
        """Give freed memory back to the device."""
        self._loader.release(device)
