"""The life of the server: listen, answer, have workers run what waits, and end in order when asked to."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from limner.engine.errors import StoreError
from limner.engine.user_path import confine
from limner.folders import graphs_folder
from limner.nodes._flux2.hub_right import allow_hub
from limner.server.clients import Clients
from limner.server.comfy.adapter import Adapter
from limner.server.connections import listen
from limner.server.crew import WorkerCrew
from limner.server.devices import find_devices_aside
from limner.server.editor.extension_files import MAIN
from limner.server.editor.extension_files import PATH as EXTENSION_PATH
from limner.server.feed import Feed
from limner.server.guard import Guard
from limner.server.jobs import retention
from limner.server.jobs.worker import WorkerSettings
from limner.server.limits import Limits
from limner.server.listening import is_local, stop_on_signals, url_of
from limner.server.readiness import Readiness
from limner.server.service import Crew, Service
from limner.server.streams import Streams
from limner.server.submission import Submissions
from limner.server.uploads import FOLDER, Uploads
from limner.session import Session

_log = logging.getLogger("limner.server")

WORK_S: Final = 2.0
"""How soon a server that had no job yet sees one that was handed in elsewhere."""
_THREADS: Final = "limner server"


@dataclass(frozen=True)
class ServerSettings:
    """What a server must know. ``worker`` names the folder of all that it keeps, by its full path."""

    worker: WorkerSettings
    workers: int = 1
    files: tuple[Path, ...] = ()
    """Folders that graphs may name files of."""
    hub: tuple[str, ...] | None = None
    """Patterns of what they may name on the hub; None for what the environment says, else everything."""
    limits: Limits = field(default_factory=Limits)
    kept: retention.Limits = field(default_factory=retention.Limits)


def serve(
    settings: ServerSettings, server: socket.socket, clients: Clients | None, *, on_ready: Callable[[str], None]
) -> None:
    """Serve on a socket of ``listening.listen`` until SIGINT or SIGTERM. ``on_ready`` hears the URL.

    The process works in its folder from then on, and graphs in it name files below a few folders only.
    Raises StoreError, InputError.
    """
    _move_in(Path(settings.worker.folder), settings.files)
    if settings.hub is not None:
        allow_hub(settings.hub)
    asyncio.run(_serve(settings, server, clients, on_ready))
    if _is_busy():  # a thread that checks a graph cannot be stopped, and Python would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _is_busy() -> bool:
    for thread in threading.enumerate():
        if thread.name.startswith(_THREADS):
            thread.join(0.5)
            if thread.is_alive():
                return True
    return False


def _move_in(folder: Path, more: Collection[Path]) -> None:
    """Make the folder the one where paths of graphs begin, and let none lead out of a few."""
    uploads = folder / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    uploads.mkdir(exist_ok=True)
    if home := os.environ.get("LIMNER_HOME"):
        os.environ["LIMNER_HOME"] = str(Path(home).expanduser().absolute())
    os.chdir(folder)
    confine(open_folders(folder, more), listed=more)


def open_folders(folder: Path, more: Iterable[Path] = ()) -> list[Path]:
    """The folders whose files graphs may name."""
    templates = [Path(str(files("limner.graphs"))), graphs_folder()]
    return [folder / FOLDER, folder / "running", *templates, *more]


async def _serve(
    settings: ServerSettings, server: socket.socket, clients: Clients | None, on_ready: Callable[[str], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(worker: str, said: Mapping[str, Any], picture: bytes) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody follows any more
            loop.call_soon_threadsafe(service.hear, worker, said, picture)

    crew = WorkerCrew(settings.worker, settings.workers, settings.kept, hear)
    with stop_on_signals(stop):
        try:
            async with AsyncExitStack() as stack:
                service = make_service(settings, Guard(is_local(server) and clients is None, clients), crew, stack)
                await _begin(service, server, stack)
                _log.info("serving", extra={"url": url_of(server), "workers": settings.workers})
                on_ready(url_of(server))
                await stop.wait()
                _log.info("ending: what runs is given back")
                crew.begin_stop()  # while the last answers are given
        finally:
            await asyncio.to_thread(crew.stop)


async def _begin(service: Service, server: socket.socket, stack: AsyncExitStack) -> None:
    """Answer until ``stack`` ends, and have workers go on with what waits."""
    for work in (service.feed.run(), service.readiness.run()):
        stack.callback(asyncio.ensure_future(work).cancel)
    await listen(service, server, stack)
    counts = await service.aside(service.store.history.counts)
    if counts.get("pending") or counts.get("in_progress"):
        service.crew.ensure()
    else:
        waiting = asyncio.ensure_future(_await_work(service))
        stack.callback(waiting.cancel)


async def _await_work(service: Service) -> None:
    """Have the workers come with the first job that others put into the store: another server, ``limner jobs add``."""
    while True:
        with suppress(StoreError):  # requests say so
            if await service.aside(service.store.leases.is_anything_due):
                service.crew.ensure()
                return
        await asyncio.sleep(WORK_S)


def make_service(settings: ServerSettings, guard: Guard, crew: Crew, stack: AsyncExitStack) -> Service:
    """The parts of a server, which end with ``stack``. Raises StoreError, InputError."""
    store = stack.enter_context(settings.worker.open_store())
    session = Session(
        registry=settings.worker.open_registry(),
        device=settings.worker.device,
        budget_bytes=settings.worker.budget_bytes,
        devices=find_devices_aside,
    )
    threads = ThreadPoolExecutor(8, thread_name_prefix=f"{_THREADS} store")
    checkers = ThreadPoolExecutor(2, thread_name_prefix=f"{_THREADS} check")
    planners = ThreadPoolExecutor(1, thread_name_prefix=f"{_THREADS} plan")
    followers = ThreadPoolExecutor(2, thread_name_prefix=f"{_THREADS} feed")  # many who join at once delay no request
    for pool in (threads, followers, checkers, planners):
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)

    async def aside(work: Callable[[], object]) -> object:
        return await asyncio.get_running_loop().run_in_executor(followers, work)

    folder = Path(settings.worker.folder)
    uploads = Uploads(folder, settings.limits.uploads_bytes)
    return Service(
        store=store,
        submissions=Submissions(session, settings.limits),
        uploads=uploads,
        comfy=Adapter(session, uploads, folder, [f"{EXTENSION_PATH}{MAIN}"], settings.workers > 0),
        guard=guard,
        feed=Feed(store.history, aside),
        crew=crew,
        limits=settings.limits,
        threads=threads,
        checkers=checkers,
        planners=planners,
        streams=Streams(settings.limits),
        readiness=Readiness(store, aside),
    )
