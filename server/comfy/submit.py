"""From a prompt to a job: the same checks as for a graph of our own API, and every fault in the protocol's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from limner.comfy.canvas_graph import graph_of_job
from limner.comfy.class_info import Here
from limner.comfy.faults import refusal
from limner.comfy.prompt import PromptGraph, graph_of
from limner.comfy.switches import decided
from limner.engine.errors import Fault, GraphError
from limner.server.clients import Client
from limner.server.comfy.kept import MAX_LABEL, Kept, prompt_id
from limner.server.jobs.errors import JobStateError
from limner.server.jobs.job import Job
from limner.server.jobs.store import JobStore
from limner.server.routes.jobs import accept
from limner.server.service import Service
from limner.server.submission import GraphRequest, Submission

_SECRETS: Final = frozenset({"api_key_comfy_org", "auth_token_comfy_org"})
"""What the editor sends for services of others: it is kept nowhere."""
NAME: Final = "prompt"
"""Of the graph, which the protocol does not name."""


class PromptRequest(BaseModel):
    """What a client hands in. What else it sends is passed over, as ComfyUI does."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    prompt: dict[str, Any]
    client_id: str | None = Field(default=None, max_length=MAX_LABEL)
    prompt_id: str | None = Field(default=None, max_length=MAX_LABEL)
    number: float | None = Field(default=None, allow_inf_nan=False)
    front: bool = False
    extra_data: dict[str, Any] | None = None
    partial_execution_targets: list[str] | None = None

    @property
    def workflow(self) -> Any:
        """What the editor shows, if it sent it."""
        pictures = (self.extra_data or {}).get("extra_pnginfo")
        return pictures.get("workflow") if isinstance(pictures, dict) else None

    @property
    def is_urgent(self) -> bool:
        """Whether it goes before what waits."""
        return self.front or (self.number or 0) < 0


class PromptRefused(Exception):
    """A prompt with faults: what is answered."""

    def __init__(self, answer: Mapping[str, Any], status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(str(answer["error"]["message"]))
        self.answer = answer
        self.status = status


async def submit(service: Service, client: Client, asked: PromptRequest) -> dict[str, Any]:
    """Queue a prompt, and say what it is known by. Raises PromptRefused with all that is wrong, and Refused."""
    read, submission = await service.compute(lambda: check_prompt(service, client, asked))
    count = next(service.comfy.numbers)
    number = asked.number if asked.number is not None else -count if asked.front else count
    extra = {name: value for name, value in (asked.extra_data or {}).items() if name not in _SECRETS}
    kept = Kept(asked.prompt, read.outputs, number, extra, asked.client_id or "", asked.prompt_id or None)
    noted = replace(submission, notes={**submission.notes, **kept.notes}, labels=kept.labels)
    job = await accept(service, client, noted, 0, None)
    if asked.is_urgent:
        await service.aside(lambda: _to_the_front(service.store, job))
    return {"prompt_id": prompt_id(job.id, kept.labels), "number": number, "node_errors": {}}


def _to_the_front(store: JobStore, job: Job) -> None:
    """Before the other jobs of its client; one that runs already stays where it is."""
    try:
        store.queue.move(job.id, 0)
    except JobStateError:
        return


def check_prompt(service: Service, client: Client, asked: PromptRequest) -> tuple[PromptGraph, Submission]:
    """A prompt as a graph that can run. Raises PromptRefused, Refused."""
    service.submissions.refuse_large(asked.prompt)
    classes = service.comfy.classes
    pictures = service.comfy.pictures(client)
    read = graph_of(decided(asked.prompt), classes, targets=asked.partial_execution_targets, pictures=pictures.place)
    faults, submission = list(read.faults), None
    if read.graph["nodes"]:
        graph = {"name": NAME, **graph_of_job(read.graph["nodes"], asked.prompt, asked.workflow, classes)}
        try:
            submission = service.submissions.check(GraphRequest(graph=graph))
            if service.comfy.runs_here:
                service.submissions.refuse_misplaced(submission)
        except GraphError as error:
            known = {fault.path for fault in read.faults}
            faults += [fault for fault in error.faults if fault.path not in known]
    if faults or submission is None:
        here = Here(pictures=pictures.names())
        raise PromptRefused(refusal(faults, asked.prompt, read.outputs, classes, here))
    return read, submission


def refused(kind: str, message: str, details: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> PromptRefused:
    """A refusal that is about no node."""
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return PromptRefused({"error": error, "node_errors": {}}, status)


def of_request(fault: Fault) -> PromptRefused:
    """A refusal of what is no request for a prompt at all."""
    kind = "no_prompt" if fault.path[1:2] == ("prompt",) else "invalid_prompt"
    return refused(kind, "No prompt provided" if kind == "no_prompt" else "Invalid request", str(fault))
