"""What our extension asks: graphs of ours as the editor opens them, and what it shows as graphs of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.comfy.as_prompt import prompt_of
from limner.comfy.as_workflow import workflow_of
from limner.comfy.canvas_graph import graph_file, graph_of_job
from limner.comfy.faults import in_own_words
from limner.comfy.names import client_id
from limner.comfy.opening import is_opened_by_editor
from limner.comfy.prompt import graph_of
from limner.comfy.switches import decided
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.expand import GRAPH_TYPE
from limner.engine.flat import flat_document
from limner.nodes._picture_text import RECORD, read_texts
from limner.plan_data import plan_as_data
from limner.server.body import read_bytes
from limner.server.clients import Client
from limner.server.comfy.own_pictures import with_names
from limner.server.problem import MAX_FAULTS, Refused
from limner.server.route import Routes
from limner.server.routes.forms import FormRequest, as_file, graph_in_picture
from limner.server.service import Service
from limner.server.submission import GraphRequest, Submission

routes = Routes()


class WorkflowView(BaseModel):
    """A graph as the editor opens it."""

    workflow: dict[str, Any]
    left_out: list[str] = Field(default=[], description="Settings that the types of their nodes do not have.")


class PictureView(BaseModel):
    """What a picture carries."""

    workflow: dict[str, Any] | None = Field(default=None, description="Its graph, if it has one of ours.")
    left_out: list[str] = Field(default=[], description="Settings of it that the types of their nodes do not have.")
    is_comfyui: bool = Field(default=False, description="Whether it has one that the editor opens by itself.")
    fault: str | None = Field(default=None, description="Why one of ours cannot be read.")


class Canvas(BaseModel):
    """What the editor shows: what it would run, and where things stand."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: dict[str, Any] = Field(description="As a client of ComfyUI sends it.")
    workflow: dict[str, Any] | None = Field(default=None, description="As the editor saves it: places, titles, notes.")
    name: str = Field(default="graph", max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")


class RemedyView(BaseModel):
    """Changes that together make a graph fit."""

    load_s: float
    changes: dict[str, Any] = Field(description="As a prompt: the nodes that are new, and of others what changes.")


class CanvasFault(BaseModel):
    """One thing that is wrong."""

    node: str | None = Field(default=None, description="As the editor calls it; none where it is about all of it.")
    message: str
    hint: str | None = Field(default=None, description="What to try.")


class GraphText(BaseModel):
    """A graph file."""

    text: str
    faults: list[CanvasFault] = Field(default=[], description="Why it cannot run as it is.")


class CanvasPlan(BaseModel):
    """What a graph would take here."""

    faults: list[CanvasFault] = Field(default=[], description="Why it cannot be planned yet.")
    memory: dict[str, Any] | None = Field(default=None, description="Peaks by device, and what does not fit.")
    remedies: list[RemedyView] = []


class Colors(BaseModel):
    """The colours of wires."""

    colors: dict[str, str] = Field(description="By the type of what travels, in the words of the protocol.")


@routes.add("GET", "/v1/editor/colors")
async def get_colors(service: Service) -> Colors:
    """In which colour each type of wire is drawn."""
    return Colors(colors=service.comfy.classes.wires.colors())


@routes.add("POST", "/v1/editor/workflow")
async def open_graph(service: Service, client: Client, body: FormRequest) -> WorkflowView:
    """A graph of ours as the editor opens it."""
    return await service.compute(lambda: _opened(service, client, body.graph))


@routes.add("POST", "/v1/editor/picture", takes="image/*", refusals=[HTTPStatus.REQUEST_ENTITY_TOO_LARGE])
async def open_picture(service: Service, client: Client, request: web.Request) -> PictureView:
    """The same of the graph that a picture carries, where that is one of ours. The body is the file."""
    if not request.content_type.startswith("image/") and request.content_type != "application/octet-stream":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a picture")
    async with service.large:
        content = await read_bytes(request, service.limits.upload_bytes)
        return await service.compute(lambda: _in_picture(service, client, content))


@routes.add("POST", "/v1/editor/graph")
async def save_graph(service: Service, client: Client, body: Canvas) -> GraphText:
    """What the editor shows, as a graph file, with the places of its nodes; what is wrong with it is said beside it."""
    return await service.compute(lambda: _saved(service, client, body))


@routes.add("POST", "/v1/editor/plan")
async def plan_canvas(service: Service, client: Client, body: Canvas) -> CanvasPlan:
    """What the editor would run would take on this server, and what would make it fit; or why it cannot run yet."""
    try:
        submission = await service.compute(lambda: _needed(service, client, body))
        return await service.plan(lambda: _planned(service, submission))
    except GraphError as error:
        return CanvasPlan(faults=_faults(service, error))


def _in_picture(service: Service, client: Client, content: bytes) -> PictureView:
    """Raises GraphError where it has a graph of ours that cannot be opened."""
    try:
        graph = graph_in_picture(content)
    except InputError as error:
        return _not_ours(content, error.message)
    found = _opened(service, client, graph)
    return PictureView(workflow=found.workflow, left_out=found.left_out)


def _not_ours(content: bytes, why: str) -> PictureView:
    with as_file(content) as path:
        try:
            texts = read_texts(path).texts
        except InputError:
            return PictureView()
    return PictureView(is_comfyui=is_opened_by_editor(texts), fault=why if RECORD in texts else None)


def _opened(service: Service, client: Client, graph: Any) -> WorkflowView:
    """Settings may be wrong yet, which a run says; graphs in the graph are replaced by what they stand for.

    Raises GraphError.
    """
    document = service.submissions.read(graph)
    if any(node.type == GRAPH_TYPE for node in document.nodes.values()):
        document = flat_document(service.submissions.check(GraphRequest(graph=graph)).checked)
    document = with_names(document, service.comfy.classes, service.comfy.pictures(client))
    return WorkflowView(workflow=_workflow(service, document), left_out=list(_unknown(service, document)))


def _unknown(service: Service, document: Document) -> Iterator[str]:
    """Settings for which the editor has no place, as node.setting."""
    registry = service.submissions.session.registry
    for node_id, node in document.nodes.items():
        known = registry[node.type].settings if node.type in registry else node.settings
        yield from (f"{node_id}.{setting}" for setting in node.settings if setting not in known)


def _workflow(service: Service, document: Document) -> dict[str, Any]:
    return workflow_of(document, service.comfy.classes)


def _saved(service: Service, client: Client, canvas: Canvas) -> GraphText:
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


def _needed(service: Service, client: Client, canvas: Canvas) -> Submission:
    """What a run of the canvas would make, its nodes called as there. Raises GraphError, Refused."""
    nodes = _nodes(service, client, decided(canvas.prompt))
    return service.submissions.check(GraphRequest(graph={"limner": 1, "name": canvas.name, "nodes": nodes}))


def _read(service: Service, client: Client, canvas: Canvas, targets: list[str] | None) -> GraphText:
    """The file of some nodes, and what is wrong with it. Raises GraphError where there is no such file, Refused."""
    nodes = _nodes(service, client, canvas.prompt, targets)
    drawn = (nodes, canvas.prompt, canvas.workflow, service.comfy.classes)
    document = service.submissions.read({"name": canvas.name, **graph_file(*drawn)})
    try:
        service.submissions.check(GraphRequest(graph={"name": canvas.name, **graph_of_job(*drawn)}))
    except GraphError as error:
        return GraphText(text=document.to_json(), faults=_faults(service, error))
    return GraphText(text=document.to_json())


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


def _planned(service: Service, submission: Submission) -> CanvasPlan:
    """Raises GraphError for a device that is not here, or where it cannot be used so."""
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


def _faults(service: Service, error: GraphError) -> list[CanvasFault]:
    """In the words of the canvas; of very many the first."""
    classes = service.comfy.classes

    def said(fault: Fault) -> CanvasFault:
        hint = in_own_words(fault.hint, classes) if fault.hint else None
        node = None if fault.node is None else client_id(fault.node)
        return CanvasFault(node=node, message=in_own_words(fault.message, classes), hint=hint)

    return [said(fault) for fault in error.faults[:MAX_FAULTS]]
