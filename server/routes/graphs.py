"""Looking at graphs without running them: whether they are right, and whether they fit."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from limner.engine.errors import GraphError
from limner.plan_data import plan_as_data
from limner.server.problem import FaultView, fault_views
from limner.server.route import Routes
from limner.server.service import Service
from limner.server.submission import GraphRequest

routes = Routes()


class Verdict(BaseModel):
    """Whether a graph can run."""

    is_right: bool
    nodes: int = Field(description="How many there are, those of graphs in it included; 0 where it is not right.")
    faults: list[FaultView]


class PlanView(BaseModel):
    """Where each node would run, and what it would take. See ``limner plan --json``."""

    graph: str
    steps: list[dict[str, Any]]
    memory: dict[str, Any] | None = Field(default=None, description="Peaks by device, and what would make it fit.")


@routes.add("POST", "/v1/validate")
async def validate(service: Service, body: GraphRequest) -> Verdict:
    """Check a graph, or a template with values: every fault at once."""

    def work() -> Verdict:
        try:
            checked = service.submissions.check(body).checked
        except GraphError as error:
            faults = [FaultView.model_validate(fault) for fault in fault_views(error.faults)]
            return Verdict(is_right=False, nodes=0, faults=faults)
        return Verdict(is_right=True, nodes=len(checked.nodes), faults=[])

    return await service.compute(work)


@routes.add("POST", "/v1/plan")
async def plan(service: Service, body: GraphRequest) -> PlanView:
    """What a graph would take on this server, from the headers of files: nothing is loaded."""
    session = service.submissions.session

    def work() -> PlanView:
        made = session.place(submission.checked)
        return PlanView.model_validate(plan_as_data(submission.checked.document.name, made, session.remedies_of(made)))

    submission = await service.compute(lambda: service.submissions.check(body))
    return await service.plan(work)
