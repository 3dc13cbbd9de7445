"""The models that are alive in the workers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


class ModelView(BaseModel):
    """A model whose weights are in memory."""

    model: str
    device: str
    size_bytes: int
    budget_bytes: int | None = Field(default=None, description="What all models may take there.")
    worker: str


class ModelList(BaseModel):
    """All that are alive, as workers told when their last job ended."""

    models: list[ModelView]


@routes.add("GET", "/v1/models")
async def list_models(service: Service) -> ModelList:
    """The models that the next job need not load, and what they take."""
    told = [(worker, model) for worker, models in service.models.items() for model in models]
    return ModelList(models=[ModelView.model_validate({**model, "worker": worker}) for worker, model in told])
