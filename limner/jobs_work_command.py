"""``limner jobs work``."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from limner.engine.errors import GraphError
from limner.folders import cache_folder, jobs_folder
from limner.jobs_option import JobsDirOption, StoreOption, need_sqlalchemy
from limner.log_options import LogFormOption, LogLevelOption
from limner.memory_option import MemoryOption, read_memory
from limner.options import CacheDirOption, DebugOption, DeviceOption, NodesOption
from limner.terminal import err, friendly

_DAY_S = 86_400.0


@friendly
def work(
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many jobs run at the same time.")] = 1,
    device: DeviceOption = "auto",
    memory: MemoryOption = None,
    nodes: NodesOption = None,
    cache_dir: CacheDirOption = None,
    keep_days: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Forget jobs that ended longer ago; otherwise never.")
    ] = None,
    keep_gb: Annotated[
        float | None, typer.Option(metavar="GB", min=0, help="Past this, the files of the oldest jobs go.")
    ] = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    log_form: LogFormOption = None,
    log_level: LogLevelOption = "info",
    debug: DebugOption = False,
) -> None:
    """Run the jobs that wait, and those that come, until Ctrl-C.

    Each worker is a process of its own. Whatever ends it, its job goes on from its last step. Ctrl-C and SIGTERM let
    workers finish their step and give their jobs back; a second one ends everything at once, and loses no job either.
    """
    need_sqlalchemy()
    from limner.server.jobs import Limits, Supervisor, WorkerSettings
    from limner.server.log import LogSettings, set_up_log

    budgets, faults = read_memory(memory or ())
    if faults:
        raise GraphError(faults)
    settings = WorkerSettings(
        folder=str((jobs_dir or jobs_folder()).absolute()),
        url=store_url,
        cache_dir=str((cache_dir or cache_folder()).absolute()),
        nodes=tuple(str(file.absolute()) for file in nodes or ()),
        device=device,
        budget_bytes=budgets,
        log=LogSettings.chosen(log_form, log_level),
    )
    settings.open_session().close()  # says what is wrong with the nodes, before workers would, again and again
    limits = Limits(
        None if keep_days is None else keep_days * _DAY_S, None if keep_gb is None else int(keep_gb * 10**9)
    )
    set_up_log(settings.log)
    stop = _stop_on_signals()
    with Supervisor(settings, workers, limits):
        err.print(f"{workers} worker{'s' if workers > 1 else ''} on {settings.folder}; Ctrl-C ends")
        stop.wait()
        err.print("ending: jobs are given back", style="dim")


def _stop_on_signals() -> threading.Event:
    """An event that the first SIGINT or SIGTERM sets; the second ends the process. What is ignored stays so."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)  # the workers see that they are alone
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
    return stop
