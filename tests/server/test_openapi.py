"""The description of the API is right, and complete."""

from __future__ import annotations

from typing import Any

import jsonschema

from limner.server.openapi import describe
from limner.server.routes import ROUTES


def test_every_route_is_described(serving: Any) -> None:
    """Each route has a summary, its answers and its refusals; and the server tells the same."""
    described = describe(ROUTES, "1")
    for route in ROUTES:
        operation = described["paths"][route.path][route.method.lower()]
        assert operation["summary"].endswith((".", "?"))
        assert "401" in operation["responses"] or route.path in ("/healthz", "/readyz")
    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)

    async def use(api: Any) -> None:
        answer = await api.ask("GET", "/openapi.json")
        assert answer.json["paths"] == described["paths"]

    serving(use)


def test_every_reference_leads_somewhere() -> None:
    """No schema names one that is not there, and each is a JSON schema."""
    described = describe(ROUTES, "1")
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [ref for part in value.values() for ref in references(part)]
        return [ref for part in value for ref in references(part)] if isinstance(value, list) else []

    found = references(described)
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in schemas
