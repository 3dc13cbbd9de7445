"""What a job gave: its state, why it failed, and its files, which are fetched when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from limner.client.answers import FaultInfo, File, JobDetail
from limner.client.download import download, safe_name
from limner.client.failures import failures_of
from limner.client.http import Http
from limner.client.refusal import faults_of
from limner.client.saving import Place, save_files
from limner.engine.errors import Cancelled, GraphError, InputError, NodeFailed, RemoteError
from limner.engine.events import Status
from limner.nodes._new_file import numbered

if TYPE_CHECKING:
    from PIL.Image import Image

_VALUES: Final = "values.json"


class AsyncResult:
    """What a job gave, as ``limner.run`` gives it: its ``failures`` are those of a run here."""

    def __init__(self, http: Http, job: JobDetail, faults: tuple[Mapping[str, Any], ...] = ()) -> None:
        self._http = http
        self.job = job
        self._faults = faults

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of job {self.job.id}: {self.job.state}, {len(self.files)} files>"

    @property
    def status(self) -> Status:
        """How it ended."""
        state = self.job.state
        assert state != "pending", "a result is of a job that has ended"
        assert state != "in_progress", "a result is of a job that has ended"
        return state

    @property
    def files(self) -> tuple[File, ...]:
        """What there is to fetch."""
        return self.job.artifacts

    @property
    def seconds(self) -> float:
        """From its first start to its end."""
        return (self.job.finished or 0.0) - (self.job.started or self.job.finished or 0.0)

    @cached_property
    def failures(self) -> Mapping[str, NodeFailed]:
        """By node, why it failed."""
        return failures_of(self.job, self._faults)

    def raise_for_failures(self) -> None:
        """Raise GraphError, the first NodeFailed, or Cancelled, as a run here would; RemoteError for anything else."""
        if self.job.state == "cancelled":
            raise Cancelled
        if self.job.state != "failed":
            return
        if self.failures:
            first, *others = self.failures.values()
            for other in others:
                first.add_note(f"also: {other.message}")
            raise first
        if self._faults:
            raise GraphError(faults_of(tuple(FaultInfo.model_validate(fault) for fault in self._faults)))
        raise RemoteError(self.job.message or "the job failed", hint=self.job.hint)

    async def read(self, file: File | str) -> bytes:
        """A file's content, by itself or by its name. Raises InputError where there is none of that name."""
        to = BytesIO()
        await download(self._http, self._find(file), to)
        return to.getvalue()

    async def images(self) -> list[Image]:
        """Its pictures, for PIL."""
        from PIL.Image import open as open_picture

        found: list[Image] = [open_picture(BytesIO(await self.read(file))) for file in self.files if _is_picture(file)]
        for image in found:
            image.load()
        return found

    async def values(self) -> Mapping[str, Mapping[str, Any]]:
        """The texts and numbers that nodes gave, by node and port."""
        if not any(file.name == _VALUES for file in self.files):
            return {}
        found: dict[str, dict[str, Any]] = json.loads(await self.read(_VALUES))
        return found

    async def save(self, folder: str | Path = ".") -> list[Path]:
        """Write all files into a folder, under their names. Nothing is replaced: names that are taken get a number.

        Gives where they are. Raises InputError where the disk does not take them.
        """
        return await self.write(
            [(file, numbered(Path(folder).expanduser() / safe_name(file)), False) for file in self.files]
        )

    async def write(self, places: Iterable[Place]) -> list[Path]:
        """Write some files under names of one's own: for each, which to try, and whether the first may be replaced."""
        return await save_files(self._http, places)

    def _find(self, file: File | str) -> File:
        if isinstance(file, File):
            return file
        for one in self.files:
            if one.name == file:
                return one
        raise InputError(f"job {self.job.id} gave no file {file}", hint=", ".join(one.name for one in self.files))


def _is_picture(file: File) -> bool:
    return file.media_type in ("image/png", "image/jpeg", "image/webp")
