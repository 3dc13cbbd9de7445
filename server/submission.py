"""From what a client sends to a job that can run: its graph is checked here, before anything is queued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from limner.engine.checked import CheckedGraph
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, suggest
from limner.engine.expand import GRAPH_TYPE
from limner.engine.flat import flat_document
from limner.engine.output_folder import escapes
from limner.engine.parameters import set_values
from limner.engine.plan import make_plan
from limner.server.limits import Limits
from limner.server.problem import Refused
from limner.session import Session


class GraphRequest(BaseModel):
    """A graph, or the name of a template; and values for its parameters."""

    model_config = ConfigDict(extra="forbid", strict=True)

    graph: dict[str, Any] | None = Field(default=None, description="A graph in the format of graph files.")
    template: str | None = Field(default=None, description="The name of a template, instead.")
    parameters: dict[str, Any] = Field(
        default={}, description="Values of its parameters, or of any setting as node.setting."
    )


@dataclass(frozen=True)
class Submission:
    """A graph that can run, and what its job is to be known by."""

    checked: CheckedGraph
    notes: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        """The graph as jobs keep it: no other graph file is needed to run it."""
        return flat_document(self.checked)


class Submissions:
    """Checks graphs. Its methods compute: they are called in a thread."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self.session = session
        self._limits = limits

    def check(self, asked: GraphRequest) -> Submission:
        """The graph as it was asked for. Raises GraphError with every fault of the graph and the values."""
        if (asked.graph is None) == (asked.template is None):
            raise GraphError([Fault("give a graph, or the name of a template", ("body",))])
        beside = None if asked.template is None else str(self.find(asked.template))
        document = self.session.document(beside) if beside is not None else self.read(asked.graph or {})
        notes: dict[str, Any] = {"parameters": asked.parameters} if asked.parameters else {}
        if asked.template is not None:
            notes["template"] = asked.template
        return Submission(self._check(document, asked.parameters, beside), notes)

    def find(self, template: str) -> Path:
        """The file of a template: a name, and never a path. Raises GraphError."""
        known = self.session.library.names()
        if template not in known:
            raise GraphError(
                [Fault(f"there is no template {template!r}", ("body", "template"), suggest(template, known))]
            )
        return self.session.library.path(template)

    def read(self, graph: Mapping[str, Any]) -> Document:
        """A graph of a client. Raises GraphError where it is none, Refused where it is too large."""
        self.refuse_large(graph.get("nodes"))
        return self.session.document(graph)

    def refuse_misplaced(self, submission: Submission) -> None:
        """Raise GraphError for nodes that this machine has no device for, and DeviceError where it knows of none."""
        make_plan(submission.checked, self.session.devices, self.session.device)

    def refuse_large(self, nodes: Any) -> None:
        """Raise Refused for more nodes than a graph may have."""
        if isinstance(nodes, dict) and len(nodes) > self._limits.nodes:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a graph has at most {self._limits.nodes} nodes here")

    def _check(self, document: Document, values: Mapping[str, Any], beside: str | None) -> CheckedGraph:
        document, faults = set_values(document, values)
        graphs = sum(node.type == GRAPH_TYPE for node in document.nodes.values())
        if graphs > self._limits.graph_nodes:
            message = f"{graphs} of its nodes are graphs; at most {self._limits.graph_nodes} are possible here"
            raise GraphError([*faults, Fault(message, ("nodes",))])
        faults += _disks(document)
        try:
            checked = self.session.check(document, beside=beside)
            faults += escapes(checked)
        except GraphError as error:
            faults += error.faults
        if faults:
            raise GraphError(faults)
        return checked


def _disks(document: Document) -> list[Fault]:
    """Where weights may be written is the server's to say."""
    return [
        Fault("offload: a graph of a server's client writes no weights to disk", ("nodes", node_id, "offload", "disk"))
        for node_id, node in document.nodes.items()
        if node.offload.disk is not None
    ]
