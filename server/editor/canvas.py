"""What the editor shows, as the server reads it: its graph file, what a run of it would take, what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from limner.comfy.as_prompt import prompt_of
from limner.comfy.canvas_graph import graph_file, graph_of_job
from limner.comfy.faults import in_own_words
from limner.comfy.names import client_id
from limner.comfy.prompt import graph_of
from limner.comfy.switches import decided
from limner.engine.errors import Fault, GraphError
from limner.plan_data import plan_as_data
from limner.server.clients import Client
from limner.server.problem import MAX_FAULTS
from limner.server.service import Service
from limner.server.submission import GraphRequest, Submission


class Canvas(BaseModel):
    """What the editor shows: what it would run, and where things stand."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: dict[str, Any] = Field(description="As a client of ComfyUI sends it.")
    workflow: dict[str, Any] | None = Field(default=None, description="As the editor saves it: places, titles, notes.")
    name: str = Field(default="graph", max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")


class CanvasFault(BaseModel):
    """One thing that is wrong."""

    node: str | None = Field(default=None, description="As the editor calls it; none where it is about all of it.")
    message: str
    hint: str | None = Field(default=None, description="What to try.")


class GraphText(BaseModel):
    """A graph file."""

    text: str
    faults: list[CanvasFault] = Field(default=[], description="Why it cannot run as it is.")


class RemedyView(BaseModel):
    """Changes that together make a graph fit."""

    load_s: float
    changes: dict[str, Any] = Field(description="As a prompt: the nodes that are new, and of others what changes.")


class CanvasPlan(BaseModel):
    """What a graph would take here."""

    faults: list[CanvasFault] = Field(default=[], description="Why it cannot be planned yet.")
    memory: dict[str, Any] | None = Field(default=None, description="Peaks by device, and what does not fit.")
    remedies: list[RemedyView] = []


def saved(service: Service, client: Client, canvas: Canvas) -> GraphText:
    """All that is on the canvas where it is sound, else what outputs need where that is; else all with its faults.

    Raises GraphError where a file could not even say it, Refused.
    """
    found: list[GraphText] = []
    for targets in (list(canvas.prompt), None):
        try:
            found.append(_read(service, client, canvas, targets))
        except GraphError:
            if targets is None and not found:
                raise
        if found and not found[-1].faults:
            return found[-1]
    return found[0]


def _read(service: Service, client: Client, canvas: Canvas, targets: list[str] | None) -> GraphText:
    """The file of some nodes, and what is wrong with it. Raises GraphError where there is no such file, Refused."""
    nodes = _nodes(service, client, canvas.prompt, targets)
    drawn = (nodes, canvas.prompt, canvas.workflow, service.comfy.classes)
    document = service.submissions.read({"name": canvas.name, **graph_file(*drawn)})
    try:
        service.submissions.check(GraphRequest(graph={"name": canvas.name, **graph_of_job(*drawn)}))
    except GraphError as error:
        return GraphText(text=document.to_json(), faults=faults_on(service, error))
    return GraphText(text=document.to_json())


def needed(service: Service, client: Client, canvas: Canvas) -> Submission:
    """What a run of the canvas would make, its nodes called as there. Raises GraphError, Refused."""
    nodes = _nodes(service, client, decided(canvas.prompt))
    return service.submissions.check(GraphRequest(graph={"limner": 1, "name": canvas.name, "nodes": nodes}))


def _nodes(
    service: Service, client: Client, prompt: dict[str, Any], targets: list[str] | None = None
) -> dict[str, Any]:
    """The nodes of a prompt as those of a graph. Raises GraphError with all that is wrong, Refused."""
    service.submissions.refuse_large(prompt)
    pictures = service.comfy.pictures(client)
    read = graph_of(prompt, service.comfy.classes, targets=targets, pictures=pictures.place)
    if read.faults:
        raise GraphError(read.faults)
    nodes: dict[str, Any] = read.graph["nodes"]
    return nodes


def planned(service: Service, submission: Submission) -> CanvasPlan:
    """What that run would take, and what would make it fit.

    Raises GraphError for a device that is not here, or a node that cannot be run as it is set there.
    """
    session = service.submissions.session
    document = submission.checked.document
    made = session.place(submission.checked)
    found = session.remedies_of(made)
    memory = plan_as_data(document.name, made, found).get("memory")
    for overflow in memory["overflows"] if memory else ():
        overflow["node"] = client_id(overflow["node"])
    before = prompt_of(document, service.comfy.classes)
    remedies = [
        RemedyView(load_s=one.memory.load_s, changes=_changes(before, prompt_of(one.document, service.comfy.classes)))
        for one in found
        if not any(isinstance(edit.value, dict) and edit.value.get("disk") for edit in one.edits)  # not taken here
    ]
    return CanvasPlan(memory=memory, remedies=remedies)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What is new in a prompt, by node."""
    out = {}
    for node, one in after.items():
        known = before.get(node, {"inputs": {}})["inputs"]
        inputs = {name: value for name, value in one["inputs"].items() if name not in known or known[name] != value}
        if inputs:
            out[node] = {"class_type": one["class_type"], "inputs": inputs}
    return out


def faults_on(service: Service, error: GraphError) -> list[CanvasFault]:
    """In the words of the canvas; of very many the first."""
    classes = service.comfy.classes

    def said(fault: Fault) -> CanvasFault:
        hint = in_own_words(fault.hint, classes) if fault.hint else None
        node = None if fault.node is None else client_id(fault.node)
        return CanvasFault(node=node, message=in_own_words(fault.message, classes), hint=hint)

    return [said(fault) for fault in error.faults[:MAX_FAULTS]]
