"""The description of the API, made from its routes and their models: nothing is written twice."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from limner.server.guard import is_open
from limner.server.problem import MEDIA_TYPE, Problem
from limner.server.route import PATTERNS, Route

_REFERENCE: Final = "#/components/schemas/{model}"
_ALWAYS: Final = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""How any request may be refused."""
_WITH_BODY: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


def describe(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of some routes."""
    all_routes = list(routes)
    given, definitions = models_json_schema(
        [*_models(all_routes), (Problem, "serialization")],
        ref_template=_REFERENCE,
        schema_generator=GenerateJsonSchema,
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in all_routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, given)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Limner", "version": version, "description": "Graphs and templates as durable jobs."},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(routes: Iterable[Route]) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    for route in routes:
        if (body := route.model("body")) is not None:
            yield body, "validation"
        for answer in filter(None, (route.answer, *route.also.values())):
            yield answer, "serialization"


def _operation(route: Route, given: dict[Any, Any]) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(route.run) or route.name).partition("\n")
    operation: dict[str, Any] = {"operationId": route.name, "summary": summary, "parameters": list(_parameters(route))}
    if rest.strip():
        operation["description"] = rest.strip()
    if is_open(route.method, route.path):
        operation["security"] = []
    if (body := route.model("body")) is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": given[body, "validation"]}}}
        operation["requestBody"]["required"] = "required" in body.model_json_schema()
    elif route.takes is not None:
        operation["requestBody"] = {"content": {route.takes: {}}, "required": True}
    operation["responses"] = dict(_responses(route, given))
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.path_names:
        schema = {"type": "string", "pattern": f"^{PATTERNS[name]}$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for place, where in (("query", "query"), ("headers", "header")):
        if (model := route.model(place)) is None:
            continue
        properties = model.model_json_schema(by_alias=True)["properties"]
        for name, schema in properties.items():
            described = {key: value for key, value in schema.items() if key not in ("title", "description")}
            parameter = {"name": name, "in": where, "required": False, "schema": _without_null(described)}
            yield parameter | ({"description": schema["description"]} if "description" in schema else {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What is left out of a query is None; null itself cannot be said there."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**options[0], **rest}


def _responses(route: Route, given: dict[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    contents: dict[HTTPStatus, dict[str, Any]] = {}
    if route.answer is not None:
        schema = {"schema": given[route.answer, "serialization"]}
        contents.setdefault(route.status, {})["application/json"] = schema
    for status, model in route.also.items():
        contents.setdefault(status, {})["application/json"] = {"schema": given[model, "serialization"]}
    for status, media_type in route.produces.items():
        contents.setdefault(status, {})[media_type] = {}
    for status, content in contents.items():
        yield str(int(status)), {"description": status.phrase, "content": content}
    if not contents:
        yield str(int(HTTPStatus.NO_CONTENT)), {"description": HTTPStatus.NO_CONTENT.phrase}
    refused = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    for status in sorted({*_ALWAYS, *_of_the_request(route), *route.refusals} - contents.keys()):
        yield str(int(status)), {"description": status.phrase, "content": refused}


def _of_the_request(route: Route) -> Iterator[HTTPStatus]:
    if route.path_names:
        yield HTTPStatus.NOT_FOUND
    if route.model("query") is not None or route.model("headers") is not None:
        yield HTTPStatus.UNPROCESSABLE_ENTITY
    if route.method != "GET":
        yield from _WITH_BODY
