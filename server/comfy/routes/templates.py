"""Our templates, as the editor's browser of templates shows and opens them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web

from limner.comfy.as_workflow import workflow_of
from limner.engine.errors import LimnerError, suggest
from limner.engine.expand import GRAPH_TYPE
from limner.engine.flat import flat_document
from limner.graphs.library import Template
from limner.server.comfy.pixels import drawing
from limner.server.comfy.titles import title_of
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


@routes.add("GET", "/templates/index.json")
async def list_workflows(service: Service) -> web.StreamResponse:
    """All templates that the editor can open."""
    return web.json_response(await service.compute(lambda: [_category(service)]))


def _category(service: Service) -> dict[str, Any]:
    listed = []
    for template in sorted(service.comfy.session.library.templates(), key=lambda one: one.rank):
        try:
            _workflow(service, template)
        except LimnerError:  # `limner templates` says what is wrong with it
            continue
        document = service.comfy.session.document(str(template.path))
        listed.append(
            {
                "name": template.name,
                "title": title_of(template.name, document.name),
                "description": document.description,
                "mediaType": "image",
                "mediaSubtype": "webp",
                "openSource": True,
            }
        )
    return {"moduleName": "default", "category": "Limner", "title": "Limner", "type": "image", "templates": listed}


@routes.add("GET", "/templates/index_logo.json")
async def list_logos() -> web.StreamResponse:
    """Pictures of those who made models: none."""
    return web.json_response({})


@routes.add("GET", "/templates/fuse_options.json")
async def get_search_options() -> web.StreamResponse:
    """How older editors search in templates: as they do by themselves."""
    return web.json_response(None)


@routes.add("GET", "/templates/{template}.json")
async def get_workflow(service: Service, template: str) -> web.StreamResponse:
    """One template as a workflow."""
    return web.json_response(await service.compute(lambda: _workflow(service, _find(service, template))))


@routes.add("GET", "/templates/{template}-1.webp")
async def get_thumbnail(service: Service, template: str) -> web.StreamResponse:
    """What the template draws, where it is one of ours; else a small drawing of its graph."""
    content = await service.compute(lambda: _thumbnail(service, _find(service, template)))
    return web.Response(body=content, content_type="image/webp", headers={"Cache-Control": "no-cache"})


def _thumbnail(service: Service, template: Template) -> bytes:
    return template.picture or drawing(_workflow(service, template))


def _find(service: Service, name: str) -> Template:
    known = {one.name: one for one in service.comfy.session.library.templates()}
    if name not in known:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no template {name!r}", hint=suggest(name, known))
    return known[name]


def _workflow(service: Service, template: Template) -> dict[str, Any]:
    """The template, graphs in it replaced by what they stand for. Raises LimnerError."""
    session, place = service.comfy.session, str(template.path)
    document = session.document(place)
    if any(node.type == GRAPH_TYPE for node in document.nodes.values()):
        document = flat_document(session.check(document, beside=place))
    return workflow_of(document, service.comfy.classes)
