"""``limner jobs backup`` and ``restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.engine.errors import InputError
from limner.folders import jobs_folder
from limner.jobs_option import JobsDirOption, StoreOption, open_store
from limner.options import DebugOption
from limner.terminal import err, friendly

FileArg = Annotated[Path, typer.Argument(metavar="FILE", help="The backup: a database of SQLite.")]


@friendly
def backup(
    file: FileArg, jobs_dir: JobsDirOption = None, store_url: StoreOption = None, debug: DebugOption = False
) -> None:
    """Copy all that is known of jobs into a new file, while servers and workers go on.

    What jobs gave is in the folder [cyan]artifacts[/] and never changes: copy it after this, with rsync for example.
    """
    from limner.server.jobs.backup import back_up

    if store_url is None:
        _need_jobs(jobs_dir or jobs_folder())
    with open_store(jobs_dir, store_url) as store:
        back_up(store, file)
        err.print(f"the files of jobs are not in it: copy {store.blobs.folder} too", style="dim")
    print(file)


@friendly
def restore(
    file: FileArg,
    replace: Annotated[bool, typer.Option("--replace", help="Also where there are jobs, which are then gone.")] = False,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Put a backup in the place of all that is known of jobs. No worker may run."""
    from limner.server.jobs import backup as backups

    with open_store(jobs_dir, store_url) as store:
        there = sum(store.history.counts().values())
        if there and not replace:
            raise InputError(f"{there} jobs are in {store.folder}", hint="--replace lets them go: back them up first")
        backups.restore(store, file)
    with open_store(jobs_dir, store_url) as store:
        err.print(f"{sum(store.history.counts().values())} jobs are in {store.folder}")


def _need_jobs(folder: Path) -> None:
    """Raise InputError where no store is: a backup of nothing would be taken for one of what is elsewhere."""
    from limner.server.jobs.store import DATABASE_NAME

    if not (folder / DATABASE_NAME).exists():
        raise InputError(
            f"there are no jobs in {folder}", hint="--jobs-dir names their folder: of a server, its --data"
        )
