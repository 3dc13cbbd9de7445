"""What a graph asks to be told, as templates say it: for graphs of earlier jobs, and those that pictures carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.engine.document import Document, plain_json
from limner.engine.errors import InputError
from limner.engine.parameters import describe
from limner.picture_graph import graph_to_run
from limner.server.body import read_bytes
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service
from limner.session import Session

routes = Routes()

MAX_SETTINGS: Final = 200
"""Of a graph without parameters."""


class FormRequest(BaseModel):
    """A graph."""

    model_config = ConfigDict(extra="forbid", strict=True)

    graph: dict[str, Any] = Field(description="In the format of graph files.")


class FormView(BaseModel):
    """A graph, and what it may be told."""

    name: str
    description: str
    parameters: dict[str, dict[str, Any]] = Field(
        description="By name, JSON schemas, with the default there. Of a graph without parameters, all that is set in "
        "it, as node.setting."
    )
    graph: dict[str, Any]


@routes.add("POST", "/v1/form")
async def get_form(service: Service, body: FormRequest) -> FormView:
    """The parameters of a graph, with their schemas and defaults."""
    return await service.compute(lambda: form_of(body.graph, service))


@routes.add("POST", "/v1/form/picture", takes="image/*", refusals=[HTTPStatus.REQUEST_ENTITY_TOO_LARGE])
async def get_picture_form(service: Service, request: web.Request) -> FormView:
    """The same of the graph that a picture carries. The body is the file; PNG, JPEG or WebP that Limner saved."""
    if not request.content_type.startswith("image/") and request.content_type != "application/octet-stream":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a picture")
    async with service.large:
        content = await read_bytes(request, service.limits.upload_bytes)
        return await service.compute(lambda: form_of(graph_in_picture(content), service))


def form_of(graph: Any, service: Service) -> FormView:
    """The form of a graph. Raises GraphError where it is none, Refused where it is too large."""
    document = service.submissions.read(graph)
    session = service.submissions.session
    asked = (
        document if document.parameters else document.model_copy(update={"parameters": _settings(document, session)})
    )
    found = describe(asked, session.registry, session.library)
    parameters = {one.name: {**one.schema, "default": one.default} for one in found}
    return FormView(name=document.name, description=document.description, parameters=parameters, graph=graph)


def _settings(document: Document, session: Session) -> Mapping[str, str]:
    """Whatever is set in a graph, as parameters that are called what they point to."""
    known = [
        f"{node_id}.{setting}"
        for node_id, node in document.nodes.items()
        for setting in node.settings
        if node.type in session.registry and setting in session.registry[node.type].settings
    ]
    return {name: name for name in known[:MAX_SETTINGS]}


def graph_in_picture(content: bytes) -> Any:
    """The graph in a picture. Raises InputError, which says nothing of where the picture was meanwhile."""
    with as_file(content) as path:
        try:
            graph = graph_to_run(path)
        except InputError as error:
            hint = None if error.hint is None or str(path) in error.hint else error.hint
            raise InputError(error.message.replace(str(path), "the picture"), hint=hint) from None
    try:
        if isinstance(graph, dict):
            return plain_json(graph)
    except ValueError as error:
        raise InputError("the picture carries a graph that cannot be read") from error
    raise InputError("the picture carries no graph")


@contextmanager
def as_file(content: bytes) -> Iterator[Path]:
    """Content that was sent, where it can be read as a file for a moment."""
    with NamedTemporaryFile(prefix="limner-picture-") as file:
        file.write(content)
        file.flush()
        yield Path(file.name)
