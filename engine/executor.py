"""Running plans: lanes that live as long as the executor, and runs that share them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from limner.engine.cache import Cache
from limner.engine.device import HOST
from limner.engine.events import EventStream
from limner.engine.keys import node_keys, what_computes
from limner.engine.lanes import KEEPING, AsyncLane, Item, Lane
from limner.engine.models import Models, NoModels
from limner.engine.plan import Plan
from limner.engine.provenance import Machine
from limner.engine.result import Result
from limner.engine.run import Run


class Executor:
    """Runs plans on local lanes. Several runs may go on at once: they share devices, models and the cache.

    ``host_workers`` nodes that need no device may block at the same time. ``checkpoint_interval_s`` is how much work
    a crash may cost. ``software`` are the versions that decide the bytes of what nodes give, so keys depend on them;
    ``machine`` is what pictures say of where they were made.
    """

    def __init__(
        self,
        *,
        cache: Cache | None = None,
        models: Models | None = None,
        host_workers: int = 8,
        checkpoint_interval_s: float = 2.0,
        software: Mapping[str, str] | None = None,
        machine: Machine = Machine(),  # noqa: B008  # a frozen value
    ) -> None:
        self.cache = cache if cache is not None else Cache()
        self.models = models if models is not None else NoModels()
        self.checkpoint_interval_s = checkpoint_interval_s
        self.software = software or {}
        self.machine = machine
        self._host_workers = host_workers
        self._lock = threading.Lock()
        self._runs: weakref.WeakSet[Run] = weakref.WeakSet()
        self._lanes: dict[str, Lane] = {}
        self._async = AsyncLane()
        self._is_closed = False

    def start(self, plan: Plan, events: EventStream | None = None, output_folder: Path | None = None) -> Run:
        """Begin a run and come back at once. Raises InputError where a file that a node names is gone.

        With ``output_folder``, what nodes write goes there, and no path of the graph leads out of it.
        Raises RuntimeError where the executor is closed.
        """
        keys = self.keys(plan)
        run = Run(
            plan,
            keys,
            cache=self.cache,
            models=self.models,
            events=events or EventStream(),
            start_async=self._async.start,
            checkpoint_interval_s=self.checkpoint_interval_s,
            software=self.software,
            machine=self.machine,
            output_folder=output_folder,
        )
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the executor is closed")
            self._runs.add(run)
        run.begin(self._hand_out)
        return run

    def keys(self, plan: Plan) -> list[str]:
        """The cache key of every node of a plan. Raises InputError where a file that a node names is gone."""
        lanes = {step.lane for step in plan.steps}
        by_lane = {lane: what_computes(lane, self.software, self.machine.hardware) for lane in lanes}
        computed_by = [by_lane[step.lane] if step.node.type.cls.on_device else "" for step in plan.steps]
        return node_keys([step.node for step in plan.steps], computed_by)

    def run(self, plan: Plan, events: EventStream | None = None) -> Result:
        """Run a plan to its end. Failures are in the result, not raised."""
        result = self.start(plan, events).wait()
        assert result is not None, "waiting without a limit ends with a result"
        return result

    def close(self) -> None:
        """Cancel what still runs, and let the lanes end. Does not wait: a run's ``wait`` does."""
        with self._lock:
            self._is_closed = True
            runs, lanes = list(self._runs), list(self._lanes.values())
        for run in runs:
            run.cancel()
        for lane in lanes:
            lane.close()
        self._async.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _hand_out(self, run: Run, ready: Iterable[tuple[str, int]]) -> None:
        by_lane: dict[str, list[Item]] = {}
        for lane, index in ready:
            by_lane.setdefault(lane, []).append(Item(run, index))
        for lane, items in by_lane.items():
            self._push(lane, items)

    def _push(self, name: str, items: list[Item]) -> None:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._new_lane(name)
        lane.push(items)

    def _new_lane(self, name: str) -> Lane:
        workers = self._host_workers if name in (HOST, KEEPING) else 1
        with self._lock:
            lane = self._lanes.setdefault(name, Lane(name, workers, self._push))
            if self._is_closed:
                lane.close()
        return lane
