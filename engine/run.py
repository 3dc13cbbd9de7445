"""One run of a plan: what is known, what is ready, what came out."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from limner.engine import events as ev
from limner.engine.bind import bind
from limner.engine.cache import Cache
from limner.engine.context import Provenance
from limner.engine.demand import find_leaders, find_todo
from limner.engine.errors import Cancelled, InputError, NodeFailed
from limner.engine.flat import flat_ids
from limner.engine.keys import has_changed, what_computes
from limner.engine.lanes import KEEPING
from limner.engine.models import Models
from limner.engine.node import Node
from limner.engine.node_context import NodeContext
from limner.engine.outputs import checked_outputs
from limner.engine.plan import Plan, Step
from limner.engine.provenance import Machine, provenance_of, with_told
from limner.engine.result import Result

StartAsync = Callable[[Coroutine[Any, Any, Any], Callable[[asyncio.Task[Any]], None]], Callable[[], None]]
Ready = Iterable[tuple[str, int]]
"""Nodes that became ready: the lane and the index of each."""


class Run:
    """The state of one run. Lanes call ``execute``; whoever started it calls ``wait`` or ``cancel``."""

    def __init__(
        self,
        plan: Plan,
        keys: Sequence[str],
        *,
        cache: Cache,
        models: Models,
        events: ev.EventStream,
        start_async: StartAsync,
        checkpoint_interval_s: float,
        software: Mapping[str, str],
        machine: Machine,
        output_folder: Path | None = None,
    ) -> None:
        self.plan = plan
        self.keys = keys
        self.cache = cache
        self.models = models
        self.events = events
        self.checkpoint_interval_s = checkpoint_interval_s
        self.software = software
        self.machine = machine
        self._start_async = start_async
        self._output_folder = output_folder
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._cancelled = threading.Event()
        self._tasks: dict[int, Callable[[], None]] = {}
        self._ended: dict[int, tuple[NodeContext, tuple[Any, ...] | BaseException]] = {}
        """Async nodes that have run, and wait for a thread that keeps what they gave."""
        self._hand_over: Callable[[Run, Ready], None] = lambda run, ready: None
        self._failures: dict[str, NodeFailed] = {}
        self._skipped: set[int] = set()
        self._goals = frozenset(plan.goals)
        self._began = time.perf_counter()
        self._todo, self._values = find_todo(plan, keys, cache)
        todo = self._todo
        self._left = sum(todo)
        self._waiting = [sum(todo[source] for source in step.needs) for step in plan.steps]
        self._users = [sum(todo[user] for user in step.consumers) for step in plan.steps]
        self._leaders = find_leaders(plan, keys, todo)
        self._twins: dict[int, list[int]] = {}
        for twin, leader in self._leaders.items():
            self._twins.setdefault(leader, []).append(twin)
            self._waiting[twin] += 1
            self._users[leader] += 1

    def begin(self, hand_over: Callable[[Run, Ready], None]) -> None:
        """Announce the run and hand over what is ready.

        ``hand_over`` is given the run and must not hold it: a cycle would keep its values until a collector looks.
        """
        self._hand_over = hand_over
        steps, emit = self.plan.steps, self.events.emit
        emit(ev.RunStarted, self.plan.graph.document.name, len(steps), self._left)
        for index, values in enumerate(self._values):
            if values is not None:
                emit(ev.NodeCached, steps[index].node.id, self.keys[index])
        if not self._left:
            self._finish()
            return
        hand_over(self, [(step.lane, i) for i, step in enumerate(steps) if self._todo[i] and not self._waiting[i]])

    @property
    def provenance(self) -> tuple[Mapping[str, str], Provenance]:
        """What runs, for nodes that write files, as it is known now; before it, what it calls each node."""
        ids, known = self._known
        return ids, with_told(known, self.plan, ids, self._known_outputs)

    @cached_property
    def _known(self) -> tuple[Mapping[str, str], Provenance]:
        """The same, as far as it was known before the run."""
        ids = flat_ids(self.plan.graph)
        return ids, provenance_of(self.plan, self.keys, ids, self.machine)

    def _known_outputs(self, index: int) -> tuple[Any, ...] | None:
        """What a node gave in this run or in one before."""
        return self._values[index] or self.cache.get(self.keys[index], self.plan.steps[index].node.type)

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask to stop: running nodes within one step, async ones at once; nothing new begins."""
        self._cancelled.set()
        with self._lock:
            tasks = list(self._tasks.values())
            self._tasks.clear()  # each is told once: a second time would interrupt its cleaning up
        for stop in tasks:
            stop()

    def outputs_of(self, goal: int) -> Mapping[str, Any] | None:
        """By port, what one of the nodes gave that the run is for; None where it has not ended well, or not yet."""
        return None if self._values[goal] is None else self._outputs(goal)

    def _outputs(self, goal: int) -> dict[str, Any]:
        """By port, what a node that has ended well gave."""
        names = (port.name for port in self.plan.steps[goal].node.type.outputs)
        return dict(zip(names, self._values[goal] or (), strict=True))

    def wait(self, timeout_s: float | None = None) -> Result | None:
        """The result, once everything has ended; None where that takes longer than ``timeout_s``."""
        if not self._done.wait(timeout_s):
            return None
        return self._result

    def execute(self, index: int) -> Ready:
        """Run one node in the calling thread. Gives what became ready."""
        step = self.plan.steps[index]
        if self._ended and (ended := self._ended.pop(index, None)) is not None:
            return self._end(index, step, *ended)
        if self.is_cancelled:
            return self._fail(index, step, Cancelled())
        if index in self._leaders and (known := self._values[self._leaders[index]]) is not None:
            self.events.emit(ev.NodeCached, step.node.id, self.keys[index])
            return self._succeed(index, step, known)
        context = NodeContext(self, step, self.keys[index])
        context.begin()
        if not step.node.type.is_async:
            return self._end(index, step, context, self._run_node(step, context))
        try:
            self._begin_async(index, step, context)
        except BaseException as error:
            return self._fail(index, step, error)
        return ()

    def _run_node(self, step: Step, context: NodeContext) -> tuple[Any, ...] | BaseException:
        try:
            node, wires = bind(step, self._values, self._output_folder)
            return checked_outputs(step.node.type, node.run(context, **wires))
        except BaseException as error:  # also SystemExit: a node must not end the lane that it runs on
            return error

    def _begin_async(self, index: int, step: Step, context: NodeContext) -> None:
        async def work() -> tuple[Any, ...] | BaseException:
            try:
                node, wires = bind(step, self._values, self._output_folder)
                return checked_outputs(step.node.type, await node.run(context, **wires))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # SystemExit, were it raised here, would end the loop for all
                return error

        def settle(task: asyncio.Task[tuple[Any, ...] | BaseException]) -> None:
            with self._lock:
                self._tasks.pop(index, None)
            self._ended[index] = context, Cancelled() if task.cancelled() else task.result()
            self._hand_over(self, [(KEEPING, index)])

        with self._lock:  # so that the task cannot end before it is known
            self._tasks[index] = self._start_async(work(), settle)
        if self.is_cancelled:
            self.cancel()

    def _end(self, index: int, step: Step, context: NodeContext, outcome: tuple[Any, ...] | BaseException) -> Ready:
        """Settle a node that has run. Gives what became ready."""
        if isinstance(outcome, BaseException):
            return self._fail(index, step, outcome)
        try:
            self._check_files(index, step)
        except Exception as error:
            return self._fail(index, step, error)
        self._keep(index, step, context, outcome)
        return self._succeed(index, step, outcome)

    def computed_by(self, step: Step) -> str:
        """What decides the last bits of a step, for its key; nothing where no device computes."""
        if not step.node.type.cls.on_device:
            return ""
        return what_computes(step.lane, self.software, self.machine.hardware)

    def _check_files(self, index: int, step: Step) -> None:
        """Raise InputError where a file changed after the key was taken: its content may be of before or of after."""
        node_class = step.node.type.cls
        if node_class.fingerprint is Node.fingerprint or node_class.effect:  # an effect may be on the file itself
            return
        computed_by = self.computed_by(step)
        if has_changed(index, self.plan.graph.nodes, self.keys, computed_by):
            self.cache.drop_step(self.keys[index])
            raise InputError("a file that it names changed while it was being read", hint="run again")

    def _keep(self, index: int, step: Step, context: NodeContext, values: tuple[Any, ...]) -> None:
        """Let the cache have what a node gave, then say that it is finished."""
        if not step.node.type.cls.effect:
            try:
                self.cache.put(self.keys[index], step.node.type, values)
            except Exception as error:  # a value that cannot be measured or written is still a good value
                message = f"what it gave cannot be kept: {type(error).__name__}: {error}"
                self.events.emit(ev.NodeWarned, step.node.id, message)
        context.end()

    def _succeed(self, index: int, step: Step, values: tuple[Any, ...]) -> Ready:
        with self._lock:
            if self._users[index] or index in self._goals:
                self._values[index] = values
            ready = self._settle(step.consumers)
            if self._leaders:
                ready += self._settle(self._twins.get(index, ()))
            self._release_needs(index, step)
            self._left -= 1
            is_last = not self._left
        if is_last:
            self._finish()
        return ready

    def _settle(self, users: Iterable[int]) -> list[tuple[str, int]]:
        """Nodes wait for one thing less; those that wait for nothing more are ready. The lock is held."""
        ready = []
        for user in users:
            if self._todo[user]:
                self._waiting[user] -= 1
                if not self._waiting[user] and user not in self._skipped:
                    ready.append((self.plan.steps[user].lane, user))
        return ready

    def _release_needs(self, index: int, step: Step) -> None:
        """A node has used what it needed, or never will. The lock is held."""
        for source in step.needs:
            self._release(source)
        if index in self._leaders:
            self._release(self._leaders[index])

    def _release(self, source: int) -> None:
        """One use of a value less; the value goes with the last. The lock is held."""
        self._users[source] -= 1
        if not self._users[source] and source not in self._goals:
            self._values[source] = None

    def _fail(self, index: int, step: Step, error: BaseException) -> Ready:
        """Skip what depends on a node that ended without outputs; the rest goes on."""
        node = step.node
        _forget_locals(error)
        if isinstance(error, Cancelled):
            self.events.emit(ev.NodeSkipped, node.id, "cancelled")
        else:
            failure = NodeFailed(node.id, node.type.name, error)
            self.events.emit(ev.NodeFailed, node.id, failure.message, getattr(error, "hint", None))
            with self._lock:
                self._failures[node.id] = failure
        because = "cancelled" if isinstance(error, Cancelled) else f"{node.id} failed"
        with self._lock:
            skipped = self._skip_dependents(index)
        for user in skipped:
            self.events.emit(ev.NodeSkipped, self.plan.steps[user].node.id, because)
        with self._lock:  # only now, so that no other lane can end the run before these events
            ready = []
            for gone in (index, *skipped):
                ready += self._settle(self._twins.get(gone, ()))  # a twin tries for itself
                self._release_needs(gone, self.plan.steps[gone])
            self._left -= 1 + len(skipped)
            is_last = not self._left
        if is_last:
            self._finish()
        return ready

    def _skip_dependents(self, index: int) -> list[int]:
        """Everything downstream that was still to run, marked. The lock is held."""
        found, waiting = [], [index]
        while waiting:
            for user in self.plan.steps[waiting.pop()].consumers:
                if self._todo[user] and user not in self._skipped:
                    self._skipped.add(user)
                    found.append(user)
                    waiting.append(user)
        return found

    def _finish(self) -> None:
        seconds = time.perf_counter() - self._began
        steps = self.plan.steps
        is_complete = all(self._values[goal] is not None for goal in self._goals)
        status: ev.Status = "failed" if self._failures else "completed" if is_complete else "cancelled"
        outputs = {
            steps[goal].node.id: self._outputs(goal) for goal in sorted(self._goals) if self._values[goal] is not None
        }
        self._result = Result(status, outputs, self._failures, seconds)
        self.events.emit(ev.RunFinished, status, seconds)
        self.events.close()
        self._done.set()


def _forget_locals(error: BaseException) -> None:
    """Let go of what the functions were at that an error came through: weights and activations, where a model ran."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        chained = (one.__cause__, one.__context__)
        waiting.extend(other for other in chained if other is not None and id(other) not in seen)
