"""What one client is told of one job: from the events of the job to the messages of the protocol.

Many events become few messages. What came while nobody read is told as it stands then: the nodes that changed, the one
that runs, what the others gave. So a client that comes back is told the state from the job's first event on, and a
graph of a thousand nodes costs some ten messages, besides those that editors count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limner.comfy.names import client_id
from limner.server.comfy import messages as say
from limner.server.comfy.outputs import shown, texts
from limner.server.comfy.wording import about_model, failure_of
from limner.server.follower import Told
from limner.server.jobs.job import Artifact

Message = str | bytes


@dataclass(slots=True)
class Reader:
    """What a client can read: it says so with its feature flags, in its first message."""

    has_flags: bool = False
    """Whether it sent any: the editor does, scripts do not."""
    has_metadata: bool = False
    """Whether it knows previews that say which node they are of."""
    has_text_metadata: bool = False
    """Whether it knows texts that say which job they are of."""


class Telling:
    """The state of one job as its client knows it. ``class_name`` gives the protocol's name of a node type."""

    def __init__(
        self,
        job_id: str,
        prompt_id: str,
        reader: Reader,
        class_name: Callable[[str], str] = str,
        *,
        wants_previews: bool = False,
    ) -> None:
        self.job_id = job_id
        self.prompt_id = prompt_id
        self.is_over = False
        """Whether the job has ended, and its client was told so."""
        self._reader = reader
        self._class_name = class_name
        self._wants_previews = wants_previews
        self._time = 0.0
        self._reset()

    def _reset(self) -> None:
        """Forget an attempt: another one begins."""
        self._types: dict[str, str] = {}
        self._running: dict[str, None] = {}
        """Nodes that run, in the order in which they began."""
        self._done: dict[str, None] = {}
        self._gave: set[str] = set()
        """Nodes whose output was told."""
        self._has_begun = False
        self._executing: str | None = None
        """The node that was told to run."""
        self._begun: str | None = None
        """The node that began last."""
        self._has_nodes = self._is_cached_told = False
        self._clear()

    def _clear(self) -> None:
        """Everything that is to be told was."""
        self._first: list[Message] = []
        self._cached: list[str] = []
        self._outputs: dict[str, dict[str, list[Any]]] = {}
        self._changed: dict[str, tuple[say.NodeState, int, int]] = {}
        self._steps: dict[str, tuple[int, int]] = {}
        self._frames: list[Message] = []
        self._last: list[Message] = []

    def tell(self, news: Sequence[Told]) -> list[Message]:
        """What a client is told after these events, steps and previews of the job, which come in order."""
        for told in news:
            said = json.loads(told.body)
            match told.kind:
                case "step":
                    self._note_step(client_id(said["node"]), said["step"], said["total"])
                case "preview":
                    self._note_preview(said, told.picture or b"")
                case _:
                    self._time = said["time"]
                    self._note(told.kind, said["body"])
        found = self._messages()
        self._clear()
        return found

    def _note(self, kind: str, body: Mapping[str, Any]) -> None:
        match kind:
            case "started":
                self._reset()
                self.is_over, self._has_begun = False, True
                self._first.append(say.started(self.prompt_id, self._time))
            case "nodes":
                self._has_nodes = True
                for node, change in body.items():
                    self._note_node(client_id(node), change)
            case "progress":
                self._note_progress(body)
            case "warning":
                self._say(client_id(body["node"]), body["message"])
            case "gave":
                self._note_outputs(body)
            case "finished":
                self._note_end(body)

    def _note_node(self, node: str, change: Mapping[str, Any]) -> None:
        if (node_type := change.get("type")) is not None:
            self._types[node] = self._class_name(node_type)
            self._begun = node
        if (step := change.get("step")) is not None:
            self._say(node, f"goes on from step {step}")
        match change.get("state"):
            case "running":
                self._running[node] = None
                self._changed[node] = ("running", 0, 1)
            case "cached":
                self._cached.append(node)
                self._done[node] = None
                self._changed[node] = ("finished", 1, 1)
            case "finished":
                self._stop(node)
                self._done[node] = None
                self._changed[node] = ("finished", 1, 1)
            case "failed":
                self._stop(node)
                self._changed[node] = ("error", 0, 1)
            case "skipped":
                self._stop(node)

    def _stop(self, node: str) -> None:
        self._running.pop(node, None)
        self._steps.pop(node, None)

    def _note_progress(self, body: Mapping[str, Any]) -> None:
        for node, so_far in body.get("nodes", {}).items():
            self._note_step(client_id(node), so_far["step"], so_far["total"])
        for model in body.get("models", ()):
            if (text := about_model(model)) is not None:
                self._say(client_id(model["node"]), text)

    def _note_step(self, node: str, step: int, total: int) -> None:
        """A step may come before the event that its node runs; it may also be one of an attempt that is over."""
        if node in self._done or self.is_over or not self._has_nodes:
            return
        self._running[node] = None
        self._begun = node
        self._steps[node] = (step, total)
        self._changed[node] = ("running", step, total)

    def _note_preview(self, said: Mapping[str, Any], content: bytes) -> None:
        """Pictures go to whoever said that it reads them: others take any binary frame for a result."""
        node = client_id(said["node"])
        if self._reader.has_metadata:
            self._frames.append(say.picture_of(self.prompt_id, node, said["media_type"], content))
        elif self._reader.has_flags or self._wants_previews:
            self._frames.append(say.picture(content))

    def _say(self, node: str, text: str) -> None:
        if self._reader.has_flags:
            self._frames.append(say.text_of(node, text, self.prompt_id if self._reader.has_text_metadata else None))

    def _note_outputs(self, body: Mapping[str, Any]) -> None:
        for node, gift in body.items():
            files = [Artifact(**artifact) for artifact in gift["artifacts"]]
            output = shown(self.job_id, files).get(client_id(node), {}) | texts(gift["values"])
            self._outputs[client_id(node)] = output

    def _note_end(self, body: Mapping[str, Any]) -> None:
        files = [Artifact(**artifact) for artifact in body.get("artifacts", ())]
        for node, output in shown(self.job_id, files).items():
            if node not in self._gave:
                self._outputs.setdefault(node, output)
        self.is_over = True
        match body["status"]:
            case "completed":
                self._last = [say.succeeded(self.prompt_id, self._time)]
            case "cancelled" if self._reader.has_flags and not self._has_begun:
                return  # editors read their lists again; they would take it for the job that runs
            case "cancelled":
                at = self._begun if self._begun not in self._done else None
                at_type = self._types.get(at or "", "")
                self._last = [say.interrupted(self.prompt_id, at, at_type, self._done, self._time)]
            case _:
                failure = failure_of(body, self._types)
                self._last = [say.failed(self.prompt_id, failure, self._done, self._time)]
        self._last.append(say.executing(self.prompt_id, None))

    def _messages(self) -> list[Message]:
        return [*self._first, *self._about_cached(), *self._about_nodes(), *self._frames, *self._last]

    def _about_cached(self) -> list[Message]:
        """Told once at least, since some wait for it; and before any node is."""
        if not self._cached and (self._is_cached_told or not self._has_nodes):
            return []
        self._is_cached_told = True
        return [say.cached(self.prompt_id, self._cached, self._time)]

    def _about_nodes(self) -> list[Message]:
        found: list[Message] = []
        running = next(reversed(self._running), self._begun)
        if running is not None and running != self._executing and not self.is_over:
            self._executing = running
            found.append(say.executing(self.prompt_id, running))
        found += [say.progress(self.prompt_id, node, *so_far) for node, so_far in self._steps.items()]
        if self._changed:
            found += say.progress_state(self.prompt_id, self._changed)
        self._gave.update(self._outputs)
        if self._reader.has_flags:  # editors count the nodes that are done; scripts would take this for a result
            ended = (node for node, change in self._changed.items() if change[0] == "finished")
            found += say.gave_nothing(self.prompt_id, (node for node in ended if node not in self._gave))
        found += [say.executed(self.prompt_id, node, output) for node, output in self._outputs.items()]
        return found
