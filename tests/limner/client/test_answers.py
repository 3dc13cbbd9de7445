"""What the client reads is what the server writes."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from limner.client import answers
from limner.server import problem, views
from limner.server.routes import graphs, models, nodes, templates, uploads

PAIRS = [
    (answers.JobDetail, views.JobDetail),
    (answers.NodeRun, views.NodeRunView),
    (answers.File, views.ArtifactView),
    (answers.JobPage, views.QueueView),
    (answers.FaultInfo, problem.FaultView),
    (answers.Problem, problem.Problem),
    (answers.TemplateDetail, templates.TemplateDetail),
    (answers.NodeInfo, nodes.NodeView),
    (answers.Verdict, graphs.Verdict),
    (answers.PlanInfo, graphs.PlanView),
    (answers.ModelInfo, models.ModelView),
    (answers.Upload, uploads.UploadView),
]


@pytest.mark.parametrize(("read", "written"), PAIRS)
def test_every_field_is_written(read: type[BaseModel], written: type[BaseModel]) -> None:
    """No field is read that the server does not write; what it may leave out has a default."""
    assert read.model_fields.keys() <= written.model_fields.keys()
    fields = written.model_fields.items()
    optional = {name for name, field in fields if not field.is_required() and field.default is None}
    assert not [name for name in optional & read.model_fields.keys() if read.model_fields[name].is_required()]
