"""What is kept with a job that came by the protocol: what its client handed in, and what it knows the job by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final
from uuid import UUID

NOTES: Final = "comfy"
"""Under which name it is in a job's notes."""
PROMPT_ID: Final = "prompt"
"""The label with the id that a client gave its job; where it gave none, the job's own is told."""
CLIENT_ID: Final = "client"
"""The label with the ``client_id`` of the socket that is told of a job."""
WORKFLOW_ID: Final = "workflow"
"""The label with the id of the editor's workflow that a job was made from."""
PREVIEWS: Final = "previews"
"""The label of a job whose client asked for previews, whatever its socket says that it can read."""
MAX_LABEL: Final = 200
"""Characters of a label: ids of clients are texts of any length."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a client handed in, as it is told again."""

    prompt: Mapping[str, Any] = field(default_factory=dict)
    """The nodes, under the client's own ids."""
    outputs: Sequence[str] = ()
    """The nodes that the job is run for, by the client's ids."""
    number: float = 0
    """Its place among the client's, as the client was told."""
    extra_data: Mapping[str, Any] = field(default_factory=dict)
    """The client's own; the editor's workflow is in ``extra_pnginfo``."""
    client_id: str = ""
    prompt_id: str | None = None
    """The client's id of the job, if it gave one."""

    @classmethod
    def of(cls, notes: Mapping[str, Any]) -> Kept | None:
        """What was kept with a job; None for one that came by another way."""
        found = notes.get(NOTES)
        return None if found is None else cls(**found)

    @property
    def notes(self) -> dict[str, Any]:
        """The job's notes."""
        return {NOTES: {one.name: getattr(self, one.name) for one in fields(self)}}  # a copy would take long

    @property
    def labels(self) -> dict[str, str]:
        """The job's labels."""
        found = {
            CLIENT_ID: self.client_id,
            PROMPT_ID: self.prompt_id,
            WORKFLOW_ID: self.workflow_id,
            PREVIEWS: self.preview_method,
        }
        return {name: value[:MAX_LABEL] for name, value in found.items() if value}

    @property
    def preview_method(self) -> str | None:
        """How the client wants previews to be made, if it wants any. Here there is one way."""
        found = self.extra_data.get("preview_method")
        return found if isinstance(found, str) and found not in ("none", "default") else None

    @property
    def workflow_id(self) -> str | None:
        """The id of the editor's workflow, if it sent one."""
        try:
            found = self.extra_data["extra_pnginfo"]["workflow"]["id"]
        except (KeyError, TypeError):
            return None
        return found if isinstance(found, str) else None


def prompt_id(job_id: str, labels: Mapping[str, str]) -> str:
    """What clients of the protocol call a job: as it was called by its own, else the job's id as a UUID.

    >>> prompt_id("0199b7c0a1b27c3d8e4f5a6b7c8d9e0f", {})
    '0199b7c0-a1b2-7c3d-8e4f-5a6b7c8d9e0f'
    """
    return labels.get(PROMPT_ID) or str(UUID(job_id))
