"""Jobs as the protocol lists them: in the queue, in the history, and for the editor's own list of jobs."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any, Final

from limner.comfy.as_prompt import prompt_of
from limner.comfy.classes import Classes
from limner.comfy.names import client_id
from limner.engine.document import parse
from limner.engine.errors import GraphError
from limner.server.comfy import messages as say
from limner.server.comfy.kept import CLIENT_ID, WORKFLOW_ID, Kept, prompt_id
from limner.server.comfy.outputs import Shown, shown, texts
from limner.server.comfy.wording import failure_of
from limner.server.jobs.errors import UnknownJobError
from limner.server.jobs.job import Artifact, Job
from limner.server.jobs.results import VALUES_NAME
from limner.server.jobs.search import Failure
from limner.server.jobs.store import JobStore

Entry = dict[str, Any]

MAX_TOLD: Final = 32 << 20
"""Characters of graphs and notes that one answer is made of. Past that the latest jobs are told whole, and of the
others no graph and nothing that came with it."""


class Entries:
    """Some jobs, with what is told of them. Reads the store, in few queries: methods block, and raise StoreError."""

    def __init__(self, store: JobStore, jobs: Sequence[Job], classes: Classes) -> None:
        self._store = store
        self._jobs = jobs
        self._classes = classes
        self._ids = [job.id for job in jobs]
        self._labels = store.search.labels(self._ids)

    def queued(self) -> list[list[Any]]:
        """As the queue lists them."""
        kept = self._kept()
        return [self._item(job, kept[job.id]) for job in self._jobs]

    def history(self) -> dict[str, Entry]:
        """As the history does, by their prompt ids."""
        kept, artifacts, failures = self._kept(), self._artifacts(), self._failures()
        return {
            self._prompt_id(job): {
                "prompt": self._item(job, kept[job.id]),
                "outputs": (outputs := self._outputs(job, artifacts[job.id])),
                "status": {
                    "status_str": "success" if job.state == "completed" else "error",
                    "completed": job.state == "completed",
                    "messages": self._messages(job, failures.get(job.id)),
                },
                "meta": {node: _meta(node) for node in outputs},
            }
            for job in self._jobs
        }

    def listed(self) -> list[Entry]:
        """As the editor's list of jobs shows them."""
        artifacts, failures = self._artifacts(), self._failures()
        return [self._listed(job, artifacts[job.id], failures.get(job.id)) for job in self._jobs]

    def detailed(self) -> list[Entry]:
        """With all that was handed in, and all that nodes show."""
        kept, artifacts, failures = self._kept(), self._artifacts(), self._failures()
        return [
            self._listed(job, artifacts[job.id], failures.get(job.id))
            | {
                "workflow": {"prompt": kept[job.id].prompt, "extra_data": kept[job.id].extra_data},
                "outputs": self._outputs(job, artifacts[job.id]),
                "update_time": say.as_ms(job.finished or job.started or job.created),
            }
            for job in self._jobs
        ]

    def _kept(self) -> dict[str, Kept]:
        """What was handed in; of a job that came by another way, its graph as a prompt."""
        told = self._told_whole()
        notes = self._store.search.notes(told)
        whole = {job_id: Kept.of(notes.get(job_id, {})) or Kept(self._prompt(job_id)) for job_id in told}
        return dict.fromkeys(self._ids, Kept()) | whole

    def _told_whole(self) -> list[str]:
        """As many as one answer can hold, at least one."""
        sizes = self._store.search.sizes(self._ids)
        latest = sorted(self._ids, reverse=True)
        totals = list(accumulate(sizes.get(job_id, 0) for job_id in latest))
        return latest[: max(1, bisect_right(totals, MAX_TOLD))]

    def _prompt(self, job_id: str) -> dict[str, Any]:
        try:
            document, _ = parse(json.loads(self._store.history.graph(job_id)))
            return {} if document is None else prompt_of(document, self._classes)
        except (GraphError, UnknownJobError):  # of a node that is not here any more; or the job went just now
            return {}

    def _artifacts(self) -> dict[str, list[Artifact]]:
        return self._store.search.artifacts(self._ids)

    def _failures(self) -> dict[str, Failure]:
        return self._store.search.failures([job.id for job in self._jobs if job.state == "failed"])

    def _prompt_id(self, job: Job) -> str:
        return prompt_id(job.id, self._labels[job.id])

    def _item(self, job: Job, kept: Kept) -> list[Any]:
        about = {"client_id": self._labels[job.id].get(CLIENT_ID, ""), "create_time": say.as_ms(job.created)}
        return [kept.number, self._prompt_id(job), kept.prompt, {**kept.extra_data, **about}, list(kept.outputs)]

    def _outputs(self, job: Job, artifacts: Sequence[Artifact]) -> dict[str, Shown]:
        found = shown(job.id, artifacts)
        for artifact in artifacts:
            if artifact.name == VALUES_NAME and artifact.node is None:
                for node, values in self._values(artifact).items():
                    if shows := texts(values):
                        found.setdefault(client_id(node), {}).update(shows)
        return found

    def _values(self, artifact: Artifact) -> dict[str, dict[str, Any]]:
        with suppress(FileNotFoundError):  # it was forgotten, to make room
            found: dict[str, dict[str, Any]] = json.loads(self._store.blobs.path(artifact.sha256).read_bytes())
            return found
        return {}

    def _failure(self, failure: Failure) -> say.Failure:
        types = {client_id(node): self._class_name(kind) for node, kind in failure.types.items()}
        return failure_of(failure.body, types, self._class_name)

    def _class_name(self, node_type: str) -> str:
        return self._classes.names.classes.get(node_type, node_type)

    def _messages(self, job: Job, failure: Failure | None) -> list[list[Any]]:
        """What the socket said of a job, in short."""
        own, ended = self._prompt_id(job), job.finished or job.created
        said = [] if job.started is None else [say.started(own, job.started)]
        if failure is not None:
            said.append(say.failed(own, self._failure(failure), (), ended))
        elif job.state == "completed":
            said.append(say.succeeded(own, ended))
        elif job.state == "cancelled":
            said.append(say.interrupted(own, None, "", (), ended))
        return [[one["type"], one["data"]] for one in map(json.loads, said)]

    def _listed(self, job: Job, artifacts: Sequence[Artifact], failure: Failure | None) -> Entry:
        pictures = [
            {**file, "nodeId": node, "mediaType": "images"}
            for node, output in shown(job.id, artifacts).items()
            for file in output.get("images", ())
        ]
        saved = [file for file in pictures if file["type"] == "output"] or pictures
        own = self._prompt_id(job)
        error = None if failure is None else say.error_fields(own, self._failure(failure))
        entry = {
            "id": own,
            "status": job.state,
            "create_time": say.as_ms(job.created),
            "execution_start_time": None if job.started is None else say.as_ms(job.started),
            "execution_end_time": None if job.finished is None else say.as_ms(job.finished),
            "outputs_count": sum(artifact.node is not None for artifact in artifacts),
            "preview_output": saved[-1] if saved else None,
            "workflow_id": self._labels[job.id].get(WORKFLOW_ID),
            "execution_error": error and {**error, "executed": [], "timestamp": say.as_ms(job.finished or 0)},
        }
        return {name: value for name, value in entry.items() if value is not None}


def _meta(node: str) -> dict[str, Any]:
    return {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
