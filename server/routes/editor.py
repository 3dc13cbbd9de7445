"""What our extension asks: graphs of ours as the editor opens them, and what it shows as graphs of ours."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.comfy.as_workflow import workflow_of
from limner.comfy.canvas_graph import graph_file
from limner.comfy.prompt import graph_of
from limner.comfy.switches import decided
from limner.engine.document import Document
from limner.engine.errors import GraphError
from limner.engine.expand import GRAPH_TYPE
from limner.engine.flat import flat_document
from limner.plan_data import plan_as_data
from limner.server.body import read_bytes
from limner.server.clients import Client
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.routes.forms import FormRequest, graph_in_picture
from limner.server.service import Service
from limner.server.submission import GraphRequest, Submission

routes = Routes()


class WorkflowView(BaseModel):
    """A graph as the editor opens it."""

    workflow: dict[str, Any]


class Canvas(BaseModel):
    """What the editor shows: what it would run, and where things stand."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: dict[str, Any] = Field(description="As a client of ComfyUI sends it.")
    workflow: dict[str, Any] | None = Field(default=None, description="As the editor saves it: places, titles, notes.")
    name: str = Field(default="graph", max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")


class GraphText(BaseModel):
    """A graph file."""

    text: str


class RemedyView(BaseModel):
    """Changes that together make a graph fit."""

    said: str
    load_s: float
    workflow: dict[str, Any] = Field(description="The graph with them.")


class CanvasPlan(BaseModel):
    """What a graph would take here."""

    memory: dict[str, Any] | None = Field(default=None, description="Peaks by device, and what does not fit.")
    remedies: list[RemedyView]


class Colors(BaseModel):
    """The colours of wires."""

    colors: dict[str, str] = Field(description="By the type of what travels, in the words of the protocol.")


@routes.add("GET", "/v1/editor/colors")
async def get_colors(service: Service) -> Colors:
    """In which colour each type of wire is drawn."""
    return Colors(colors=service.comfy.classes.wires.colors())


@routes.add("POST", "/v1/editor/workflow")
async def open_graph(service: Service, body: FormRequest) -> WorkflowView:
    """A graph of ours as the editor opens it."""
    return await service.compute(lambda: _opened(service, body.graph))


@routes.add("POST", "/v1/editor/picture", takes="image/*", refusals=[HTTPStatus.REQUEST_ENTITY_TOO_LARGE])
async def open_picture(service: Service, request: web.Request) -> WorkflowView:
    """The same of the graph that a picture of ours carries. The body is the file."""
    if not request.content_type.startswith("image/") and request.content_type != "application/octet-stream":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a picture")
    async with service.large:
        content = await read_bytes(request, service.limits.upload_bytes)
        return await service.compute(lambda: _opened(service, graph_in_picture(content)))


@routes.add("POST", "/v1/editor/graph")
async def save_graph(service: Service, client: Client, body: Canvas) -> GraphText:
    """What the editor would run, as a graph file, with the places of its nodes."""
    submission = await service.compute(lambda: _whole(service, client, body))
    return GraphText(text=submission.checked.document.to_json())


@routes.add("POST", "/v1/editor/plan")
async def plan_canvas(service: Service, client: Client, body: Canvas) -> CanvasPlan:
    """What the editor would run would take on this server, and what would make it fit."""
    submission = await service.compute(lambda: _needed(service, client, body))
    return await service.plan(lambda: _planned(service, submission))


def _opened(service: Service, graph: Any) -> WorkflowView:
    """Settings may be wrong yet, which a run says; graphs in the graph are replaced by what they stand for.

    Raises GraphError.
    """
    document = service.submissions.read(graph)
    if any(node.type == GRAPH_TYPE for node in document.nodes.values()):
        document = flat_document(service.submissions.check(GraphRequest(graph=graph)).checked)
    return WorkflowView(workflow=_workflow(service, document))


def _workflow(service: Service, document: Document) -> dict[str, Any]:
    return workflow_of(document, service.comfy.classes)


def _whole(service: Service, client: Client, canvas: Canvas) -> Submission:
    """All that is on the canvas, where it is sound; else what outputs need. Raises GraphError, Refused."""
    try:
        return _read(service, client, canvas, canvas.prompt, list(canvas.prompt))
    except GraphError:
        return _read(service, client, canvas, canvas.prompt)


def _needed(service: Service, client: Client, canvas: Canvas) -> Submission:
    """What a run of the canvas would make. Raises GraphError, Refused."""
    return _read(service, client, canvas, decided(canvas.prompt))


def _read(
    service: Service, client: Client, canvas: Canvas, prompt: dict[str, Any], targets: list[str] | None = None
) -> Submission:
    """Raises GraphError with all that is wrong, Refused."""
    service.submissions.refuse_large(prompt)
    classes, pictures = service.comfy.classes, service.comfy.pictures(client)
    read = graph_of(prompt, classes, targets=targets, pictures=pictures.place)
    if read.faults:
        raise GraphError(read.faults)
    graph = {"name": canvas.name, **graph_file(read.graph["nodes"], prompt, canvas.workflow, classes)}
    return service.submissions.check(GraphRequest(graph=graph))


def _planned(service: Service, submission: Submission) -> CanvasPlan:
    session = service.submissions.session
    made = session.place(submission.checked)
    found = session.remedies_of(made)
    memory = plan_as_data(submission.checked.document.name, made, found)["memory"]
    usable = [one for one in found if not any(isinstance(e.value, dict) and e.value.get("disk") for e in one.edits)]
    remedies = [
        RemedyView(said=str(one), load_s=one.memory.load_s, workflow=_workflow(service, one.document)) for one in usable
    ]
    return CanvasPlan(memory=memory, remedies=remedies)
