"""Asking ``limner serve`` from Python.

>>> from limner.client import Client
>>> with Client("http://localhost:8764") as client:  # doctest: +SKIP
...     result = client.run("text_to_image", prompt="a blue star on a white background", seed=7)
...     result.save("pictures")
"""

from limner.client.answers import (
    File,
    JobDetail,
    JobEvent,
    JobInfo,
    ModelInfo,
    NodeInfo,
    NodeRun,
    PlanInfo,
    Template,
    TemplateDetail,
    Upload,
)
from limner.client.async_client import AsyncClient
from limner.client.async_job import AsyncJob
from limner.client.async_result import AsyncResult
from limner.client.client import Client, Job, Result

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncResult",
    "Client",
    "File",
    "Job",
    "JobDetail",
    "JobEvent",
    "JobInfo",
    "ModelInfo",
    "NodeInfo",
    "NodeRun",
    "PlanInfo",
    "Result",
    "Template",
    "TemplateDetail",
    "Upload",
]
