"""What nodes of a job show to clients of the protocol, and where they find the files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from limner.comfy.names import client_id
from limner.server.jobs.job import Artifact
from limner.server.views import PICTURES

Shown = dict[str, list[Any]]
"""What a node shows: ``images`` and ``files`` by name, ``text``."""
_JOB: Final = re.compile("[0-9a-f]{32}")


def shown(job_id: str, artifacts: Iterable[Artifact]) -> dict[str, Shown]:
    """By the client's id of a node, its pictures and other files."""
    found: dict[str, Shown] = {}
    for artifact in artifacts:
        if artifact.node is not None:
            kind = "images" if PurePosixPath(artifact.name).suffix.lower() in PICTURES else "files"
            found.setdefault(client_id(artifact.node), {}).setdefault(kind, []).append(place(job_id, artifact))
    return found


def place(job_id: str, artifact: Artifact) -> dict[str, str]:
    """Where a client asks for a file: the first folder is the job's."""
    path = PurePosixPath(artifact.name)
    kind = "temp" if _is_preview(path, artifact.node or "") else "output"
    return {"filename": path.name, "subfolder": (job_id / path.parent).as_posix(), "type": kind}


def placed(filename: str, subfolder: str) -> tuple[str, str] | None:
    """The job and the name of the file that a client asks for; None where that is no job's.

    >>> placed("image.png", "0199b7c0a1b27c3d8e4f5a6b7c8d9e0f/outputs")
    ('0199b7c0a1b27c3d8e4f5a6b7c8d9e0f', 'outputs/image.png')
    """
    job_id, _, folder = subfolder.partition("/")
    if not _JOB.fullmatch(job_id):
        return None
    return job_id, f"{folder}/{filename}" if folder else filename


def texts(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a node shows of what it gave and nobody took, by port: the texts among it."""
    lines = [value for value in values.values() if isinstance(value, str)]
    return {"text": lines} if lines else {}


def _is_preview(path: PurePosixPath, node: str) -> bool:
    """Whether a file was made from what a node gave and nobody took; then it is called after the node."""
    return len(path.parts) == 1 and bool(re.fullmatch(rf"{re.escape(node)}(\.\w+)?(-\d+)?", path.stem))
