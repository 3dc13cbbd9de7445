"""How the nodes of one attempt at a job stand, and which messages say what of it was not told yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from limner.server.comfy import messages as say
from limner.server.comfy.messages import Message
from limner.server.comfy.outputs import Shown


class NodeStates:
    """Nodes by the client's ids. ``class_name`` gives the protocol's name of a node type."""

    def __init__(self, prompt_id: str, class_name: Callable[[str], str]) -> None:
        self.types: dict[str, str] = {}
        self.done: dict[str, None] = {}
        self.is_known = False
        """Whether anything was said of any node yet."""
        self._prompt_id = prompt_id
        self._class_name = class_name
        self._running: dict[str, None] = {}
        """In the order in which they began."""
        self._begun: str | None = None
        """The node that began last."""
        self._executing: str | None = None
        """The node that was told to run."""
        self._gave: set[str] = set()
        """Nodes whose output was told."""
        self._is_cached_told = False
        self._clear()

    def _clear(self) -> None:
        """Everything that is to be told was."""
        self._cached: list[str] = []
        self._outputs: dict[str, Shown] = {}
        self._sent: dict[str, Sequence[Message]] = {}
        self._changed: dict[str, tuple[say.NodeState, int, int]] = {}
        self._steps: dict[str, tuple[int, int]] = {}

    @property
    def stopped_at(self) -> str | None:
        """The node that ran where an attempt ended in the middle."""
        return self._begun if self._begun not in self.done else None

    def note(self, node: str, change: Mapping[str, Any]) -> None:
        """A node changed."""
        self.is_known = True
        if (node_type := change.get("type")) is not None:
            self.types[node] = self._class_name(node_type)
            self._begun = node
        match change.get("state"):
            case "running":
                self._running[node] = None
                self._changed[node] = ("running", 0, 1)
            case "cached":
                self._cached.append(node)
                self.done[node] = None
                self._changed[node] = ("finished", 1, 1)
            case "finished":
                self._stop(node)
                self.done[node] = None
                self._changed[node] = ("finished", 1, 1)
            case "failed":
                self._stop(node)
                self._changed[node] = ("error", 0, 1)
            case "skipped" | "waiting":
                self._stop(node)

    def _stop(self, node: str) -> None:
        self._running.pop(node, None)
        self._steps.pop(node, None)

    def note_step(self, node: str, step: int, total: int) -> None:
        """A step may come before the event that its node runs; it may also be one of an attempt that is over."""
        if node in self.done or not self.is_known:
            return
        self._running[node] = None
        self._begun = node
        self._steps[node] = (step, total)
        self._changed[node] = ("running", step, total)

    def note_output(self, node: str, output: Shown) -> None:
        """A node shows something; what was told of it already stands."""
        if node not in self._gave:
            self._outputs.setdefault(node, output)

    def note_sent(self, node: str, pictures: Sequence[Message]) -> None:
        """A node sends these: they are told to be its own."""
        self._sent[node] = pictures

    def messages(self, time_s: float, *, counts: bool, is_over: bool) -> list[Message]:
        """All that is to be told. ``counts`` says that the client counts the nodes that are done: others would take an
        empty output for a result.
        """
        found: list[Message] = [*self._about_cached(time_s)]
        for node, pictures in self._sent.items():
            found += [*self._about_executing(node), *pictures]
        running = next(reversed(self._running), self._begun)
        if running is not None and not is_over:
            found += self._about_executing(running)
        found += [say.progress(self._prompt_id, node, *so_far) for node, so_far in self._steps.items()]
        found += say.progress_state(self._prompt_id, self._changed)
        self._gave.update(self._outputs)
        if counts:
            ended = (node for node, change in self._changed.items() if change[0] == "finished")
            found += say.gave_nothing(self._prompt_id, (node for node in ended if node not in self._gave))
        found += [say.executed(self._prompt_id, node, output) for node, output in self._outputs.items()]
        self._clear()
        return found

    def _about_executing(self, node: str) -> list[str]:
        if node == self._executing:
            return []
        self._executing = node
        return [say.executing(self._prompt_id, node)]

    def _about_cached(self, time_s: float) -> list[str]:
        """Told once at least, since some wait for it; and before any node is."""
        if not self._cached and (self._is_cached_told or not self.is_known):
            return []
        self._is_cached_told = True
        return [say.cached(self._prompt_id, self._cached, time_s)]
