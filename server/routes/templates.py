"""The templates: graphs with parameters."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from limner.engine.errors import suggest
from limner.listed import ListedTemplate, look_at
from limner.server.problem import FaultView, Refused, fault_views
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


class TemplateView(BaseModel):
    """A template, and what it may be given."""

    name: str
    description: str
    is_own: bool = Field(description="Whether it is the server's own; the others come with Limner.")
    parameters: dict[str, dict[str, Any]] = Field(description="By name, JSON schemas, with the default there.")
    faults: list[FaultView] = Field(description="Why it cannot run; none where it can.")


class TemplateList(BaseModel):
    """All templates."""

    templates: list[TemplateView]


class TemplateDetail(TemplateView):
    """A template with its graph."""

    graph: dict[str, Any]


@routes.add("GET", "/v1/templates")
async def list_templates(service: Service) -> TemplateList:
    """All templates, with their parameters."""
    session = service.submissions.session

    def work() -> TemplateList:
        return TemplateList(templates=[_view(look_at(one, session)) for one in session.library.templates()])

    return await service.compute(work)


@routes.add("GET", "/v1/templates/{template}")
async def get_template(service: Service, template: str) -> TemplateDetail:
    """One template, with its graph."""
    session = service.submissions.session

    def work() -> TemplateDetail:
        known = {one.name: one for one in session.library.templates()}
        if template not in known:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no template {template!r}", hint=suggest(template, known))
        raw = session.library.load(template)
        return TemplateDetail(**_view(look_at(known[template], session)).model_dump(), graph=raw)

    return await service.compute(work)


def _view(listed: ListedTemplate) -> TemplateView:
    parameters = {one.name: {**one.schema, "default": one.default} for one in listed.parameters}
    return TemplateView(
        name=listed.template.name,
        description=listed.description,
        is_own=listed.template.is_own,
        parameters=parameters,
        faults=[FaultView.model_validate(fault) for fault in fault_views(listed.faults)],
    )
