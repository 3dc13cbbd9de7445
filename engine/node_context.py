"""The context of a node that an executor runs: reports become events, models come from the pool."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from limner.engine import events as ev
from limner.engine.context import Provenance
from limner.engine.errors import Cancelled
from limner.engine.keys import part_key
from limner.engine.models import ModelSpec
from limner.engine.plan import Step
from limner.engine.value import Storable

if TYPE_CHECKING:
    from limner.engine.run import Run

M = TypeVar("M")
S = TypeVar("S", bound=Storable)
_log = logging.getLogger("limner.node")


class NodeContext:
    """One node's view of its run. See ``limner.engine.context.Context`` for what each member promises."""

    __slots__ = ("_has_kept", "_kept_at", "_key", "_offered", "_run", "_started_at", "_step")

    def __init__(self, run: Run, step: Step, key: str) -> None:
        self._run = run
        self._step = step
        self._key = key
        self._kept_at = self._started_at = 0.0
        self._has_kept = False
        self._offered: tuple[int, Storable] | None = None

    def begin(self) -> None:
        """Start the clocks and say that the node runs."""
        self._kept_at = self._started_at = time.perf_counter()
        node = self._step.node
        self._run.events.emit(ev.NodeStarted, node.id, node.type.name, self._step.lane)

    def end(self) -> None:
        """Forget checkpoints, which are not needed any more, and say that the node is finished."""
        if self._has_kept:
            self._run.cache.drop_step(self._key)
        self._run.events.emit(ev.NodeFinished, self._step.node.id, time.perf_counter() - self._started_at)

    @property
    def device(self) -> str:
        return self._step.device

    @property
    def cancelled(self) -> bool:
        return self._run.is_cancelled

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        return logging.LoggerAdapter(_log, {"node": self._step.node.id})

    @property
    def provenance(self) -> Provenance:
        ids, provenance = self._run.provenance
        return replace(provenance, saved_by=ids[self._step.node.id])

    def progress(self, step: int, total: int, preview: Callable[[], Storable] | None = None) -> None:
        self._run.events.emit(ev.NodeProgress, self._step.node.id, step, total, preview)
        if self._run.is_cancelled:
            if self._offered is not None:
                self._keep(*self._offered)
            raise Cancelled

    def warn(self, message: str) -> None:
        self._run.events.emit(ev.NodeWarned, self._step.node.id, message)

    def hold(self, model: ModelSpec[M]) -> AbstractContextManager[M]:
        step = self._step
        return self._run.models.hold(model, self.device, self._report, step.offload, step.working_bytes)

    def remember(self, part: str, value: Storable) -> None:
        self._run.cache.put_part(self._part_key(part), value)

    def recall(self, part: str, kind: type[S]) -> S | None:
        return self._run.cache.get_part(self._part_key(part), kind)

    def checkpoint(self, step: int, value: Storable) -> None:
        self._offered = step, value  # kept if the run is cancelled before the next one
        if self._run.is_cancelled or time.perf_counter() - self._kept_at >= self._run.checkpoint_interval_s:
            self._keep(step, value)

    def resume(self, kind: type[S]) -> tuple[int, S] | None:
        found = self._run.cache.get_step(self._key, kind)
        if found is not None:
            self._has_kept = True
            self._run.events.emit(ev.NodeResumed, self._step.node.id, found[0])
        return found

    def _part_key(self, part: str) -> str:
        return part_key(self._step.node.type, part, self._run.computed_by(self._step))

    def _report(self, kind: Callable[..., ev.Event], *fields: Any) -> None:
        self._run.events.emit(kind, self._step.node.id, *fields)
        if self._run.is_cancelled:
            raise Cancelled

    def _keep(self, step: int, value: Storable) -> None:
        self._offered = None
        self._kept_at = time.perf_counter()
        self._has_kept = True
        self._run.cache.put_step(self._key, step, value)
