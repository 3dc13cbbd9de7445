"""Which store of jobs the commands of ``limner jobs`` mean, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.engine.errors import InputError
from limner.folders import jobs_folder

if TYPE_CHECKING:
    from limner.server.jobs import JobStore

JobsDirOption = Annotated[
    Path | None,
    typer.Option("--jobs-dir", metavar="DIR", envvar="LIMNER_JOBS_DIR", help="Where jobs and what they gave are kept."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="LIMNER_JOBS_STORE",
        help="A PostgreSQL database instead of a file: [cyan]postgresql+psycopg://user@host/name[/].",
    ),
]
JobArg = Annotated[str, typer.Argument(metavar="JOB", help="The id, as [cyan]limner jobs list[/] shows it.")]


def open_store(jobs_dir: Path | None, url: str | None) -> JobStore:
    """The store that was named, or the user's. Raises InputError, StoreError."""
    need_sqlalchemy()
    from limner.server.jobs import JobStore

    return JobStore(jobs_dir or jobs_folder(), url)


def need_sqlalchemy() -> None:
    """Raise InputError where the package that keeps jobs is not installed."""
    try:
        import sqlalchemy  # noqa: F401  # asked for here, so that its absence is said in words
    except ModuleNotFoundError as error:
        raise InputError(
            "jobs are kept with SQLAlchemy, which is not installed", hint='pip install "limner[server]"'
        ) from error
