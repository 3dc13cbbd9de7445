"""What our extension asks: graphs of ours as the editor opens them, and what it shows as graphs of ours."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field

from limner.comfy.as_workflow import workflow_of
from limner.comfy.opening import is_opened_by_editor
from limner.engine.document import Document
from limner.engine.errors import GraphError, InputError
from limner.engine.expand import GRAPH_TYPE
from limner.engine.flat import flat_document
from limner.nodes._picture_text import RECORD, read_texts
from limner.server.body import read_bytes
from limner.server.clients import Client
from limner.server.comfy.own_pictures import with_names
from limner.server.editor.canvas import Canvas, CanvasPlan, GraphText, faults_on, needed, planned, saved
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.routes.forms import FormRequest, as_file, graph_in_picture
from limner.server.service import Service
from limner.server.submission import GraphRequest

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
    return await service.compute(lambda: saved(service, client, body))


@routes.add("POST", "/v1/editor/plan")
async def plan_canvas(service: Service, client: Client, body: Canvas) -> CanvasPlan:
    """What the editor would run would take on this server, and what would make it fit; or why it cannot run yet."""
    try:
        submission = await service.compute(lambda: needed(service, client, body))
        return await service.plan(lambda: planned(service, submission))
    except GraphError as error:
        return CanvasPlan(faults=faults_on(service, error))


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
