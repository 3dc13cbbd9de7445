"""What one client is told of one job: from the events of the job to the messages of the protocol.

Many events become few messages. What came while nobody read is told as it stands then: the nodes that changed, the one
that runs, what the others gave. So a client that comes back is told the state from the job's first event on, and a
graph of a thousand nodes costs some ten messages, besides those that editors count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.faults import own_words
from limner.comfy.names import client_id
from limner.server.comfy import messages as say
from limner.server.comfy.messages import Message, StoredPicture
from limner.server.comfy.node_states import NodeStates
from limner.server.comfy.outputs import shown, texts
from limner.server.comfy.wording import about_model, failure_of
from limner.server.follower import Told
from limner.server.jobs.job import Artifact

PNG: Final = "image/png"
SENDS: Final = "SaveImageWebsocket"
"""The class whose pictures go over the socket: scripts take the frames that come while it is told to run."""


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
        self._has_begun = False
        self._reset()

    def _reset(self) -> None:
        """Forget an attempt, and what is not told of it yet: another one begins."""
        self._nodes = NodeStates(self.prompt_id, self._class_name)
        self._clear()

    def _clear(self) -> None:
        self._first: list[Message] = []
        self._frames: list[Message] = []
        self._last: list[Message] = []

    def tell(self, news: Sequence[Told]) -> list[Message]:
        """What a client is told after these events, steps and previews of the job, which come in order."""
        for told in news:
            said = json.loads(told.body)
            match told.kind:
                case "step":
                    self._note_step(said["node"], said)
                case "preview":
                    self._note_preview(said, told.picture or b"")
                case _:
                    self._time = said["time"]
                    self._note(told.kind, said["body"])
        of_nodes = self._nodes.messages(self._time, counts=self._reader.has_flags, is_over=self.is_over)
        found = [*self._first, *of_nodes, *self._frames, *self._last]
        self._clear()
        return found

    def _note(self, kind: str, body: Mapping[str, Any]) -> None:
        match kind:
            case "started":
                self._reset()
                self.is_over, self._has_begun = False, True
                self._first.append(say.started(self.prompt_id, self._time))
            case "nodes":
                for node, change in body.items():
                    self._note_node(client_id(node), change)
            case "progress":
                self._note_progress(body)
            case "warning":
                self._say(client_id(body["node"]), own_words(body["message"], self._class_name))
            case "gave":
                self._note_outputs(body)
            case "finished":
                self._note_end(body)

    def _note_node(self, node: str, change: Mapping[str, Any]) -> None:
        self._nodes.note(node, change)
        if (step := change.get("step")) is not None:
            self._say(node, f"goes on from step {step}")

    def _note_progress(self, body: Mapping[str, Any]) -> None:
        for node, so_far in body.get("nodes", {}).items():
            self._note_step(node, so_far)
        for model in body.get("models", ()):
            if (text := about_model(model)) is not None:
                self._say(client_id(model["node"]), text)

    def _note_step(self, node: str, so_far: Mapping[str, Any]) -> None:
        if not self.is_over:
            self._nodes.note_step(client_id(node), so_far["step"], so_far["total"])

    def _note_preview(self, said: Mapping[str, Any], content: bytes) -> None:
        """Pictures go to whoever said that it reads them: others take any binary frame for a result."""
        node = client_id(said["node"])
        if self._reader.has_metadata:
            self._frames.append(say.picture_of(self.prompt_id, node, said["media_type"], content))
        elif self._reader.has_flags or self._wants_previews:
            self._frames.append(say.picture(content, said["media_type"]))

    def _say(self, node: str, text: str) -> None:
        if self._reader.has_flags:
            self._frames.append(say.text_of(node, text, self.prompt_id if self._reader.has_text_metadata else None))

    def _note_outputs(self, body: Mapping[str, Any]) -> None:
        for node, gift in body.items():
            files = [Artifact(**artifact) for artifact in gift["artifacts"]]
            name = client_id(node)
            self._nodes.note_output(name, shown(self.job_id, files).get(name, {}) | texts(gift["values"]))
            if self._nodes.types.get(name) == SENDS:
                self._nodes.note_sent(name, [StoredPicture(self._head(name), file.sha256) for file in files])

    def _head(self, node: str) -> bytes:
        """What goes before a result of a node."""
        has_metadata = self._reader.has_metadata
        return say.picture_of(self.prompt_id, node, PNG, b"") if has_metadata else say.picture(b"", PNG)

    def _note_end(self, body: Mapping[str, Any]) -> None:
        files = [Artifact(**artifact) for artifact in body.get("artifacts", ())]
        for node, output in shown(self.job_id, files).items():
            self._nodes.note_output(node, output)
        self.is_over = True
        nodes = self._nodes
        match body["status"]:
            case "completed":
                self._last = [say.succeeded(self.prompt_id, self._time)]
            case "cancelled" if self._reader.has_flags and not self._has_begun:
                return  # editors read their lists again; they would take it for the job that runs
            case "cancelled":
                at = nodes.stopped_at
                self._last = [
                    say.interrupted(self.prompt_id, at, nodes.types.get(at or "", ""), nodes.done, self._time)
                ]
            case _:
                failure = failure_of(body, nodes.types, self._class_name)
                self._last = [say.failed(self.prompt_id, failure, nodes.done, self._time)]
        self._last.append(say.executing(self.prompt_id, None))
