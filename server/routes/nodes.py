"""The node types that graphs are made of."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from limner.engine.errors import suggest
from limner.engine.node import NodeType
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


class InputView(BaseModel):
    """What may be wired into a node."""

    type: str
    optional: bool
    many: bool


class OutputView(BaseModel):
    """What a node gives."""

    type: str
    same_as: str | None = None


class NodeView(BaseModel):
    """A node type."""

    name: str
    category: str
    version: int
    description: str
    inputs: dict[str, InputView]
    outputs: dict[str, OutputView]
    settings: dict[str, Any]
    """By name, JSON schemas."""


class NodeList(BaseModel):
    """All node types."""

    nodes: list[NodeView]


@routes.add("GET", "/v1/nodes")
async def list_nodes(service: Service) -> NodeList:
    """All node types, with their inputs, outputs and settings."""
    return NodeList(nodes=[_view(node) for node in service.submissions.session.registry.values()])


@routes.add("GET", "/v1/nodes/{type_name}")
async def get_node(service: Service, type_name: str) -> NodeView:
    """One node type."""
    registry = service.submissions.session.registry
    if type_name not in registry:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no node type {type_name}", hint=suggest(type_name, registry))
    return _view(registry[type_name])


def _view(node: NodeType) -> NodeView:
    return NodeView.model_validate(node.describe())
