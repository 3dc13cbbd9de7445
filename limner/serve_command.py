"""``limner serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.comfy_graph import ComfyModelsOption, use_comfy_models
from limner.engine.device import DEVICE_NAME, device_hint
from limner.engine.errors import GraphError, InputError
from limner.jobs_option import need_sqlalchemy
from limner.log_options import LogFormOption, LogLevelOption
from limner.memory_option import MemoryOption, read_memory
from limner.options import CacheDirOption, DebugOption, DeviceOption, NodesOption
from limner.terminal import friendly, out

if TYPE_CHECKING:
    from limner.server.clients import Clients

DEFAULT_PORT = 8764


@friendly
def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen. Beyond this machine only with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A token alone, or the lines of limner token, one a client; otherwise [cyan]LIMNER_TOKEN[/].",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where jobs, results and uploads are kept; ~/.local/share/limner/server."),
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="PostgreSQL for the jobs, instead of SQLite in that folder.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--files", metavar="FOLDER", help="Graphs may name the files in it: pictures, models, LoRAs."),
    ] = None,
    comfy_models: ComfyModelsOption = None,
    hub: Annotated[
        list[str] | None,
        typer.Option(
            "--hub",
            metavar="PATTERN",
            help="What graphs may name on the hub: owner/name, owner/*, * or none. Otherwise everything, or FLUX.2 "
            "alone where a client lacks the right admin.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Jobs that run at a time; 0 only takes them in.")] = 1,
    device: DeviceOption = "auto",
    memory: MemoryOption = None,
    nodes: NodesOption = None,
    cache_dir: CacheDirOption = None,
    checkpoint_s: Annotated[
        float, typer.Option("--checkpoint-every", metavar="SECONDS", min=0, help="How much denoising a crash may cost.")
    ] = 2.0,
    keep_days: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Forget jobs that ended longer ago.")
    ] = None,
    log_form: LogFormOption = None,
    log_level: LogLevelOption = "info",
    debug: DebugOption = False,
) -> None:
    """Serve graphs and templates over HTTP: jobs are kept through crashes, and run one after the other.

    One line goes to stdout when it is ready: where it is. Ctrl-C or SIGTERM ends it in order; what runs then goes on
    when it is started again, from its last step.

    It speaks plain HTTP and listens on this machine only. For others, put a server in front of it that speaks HTTPS,
    and give each client a token: [cyan]limner token NAME >> tokens[/].
    """
    need_sqlalchemy()
    from limner.server.jobs import retention
    from limner.server.jobs.worker import WorkerSettings
    from limner.server.listening import listen
    from limner.server.log import LogSettings, set_up_log
    from limner.server.serve import ServerSettings
    from limner.server.serve import serve as run

    if not DEVICE_NAME.fullmatch(device):
        raise InputError(
            f"--device {device}: that is no device", hint=device_hint(device, ["auto", "cpu", "cuda:0", "mps"])
        )
    budget, faults = read_memory(memory or ())
    if faults:
        raise GraphError(faults)
    clients, log = _clients(token_file), LogSettings.chosen(log_form, log_level)
    settings = ServerSettings(
        worker=WorkerSettings(
            folder=str(_folder(data)),
            url=database,
            cache_dir=str(_cache(cache_dir)),
            nodes=tuple(str(path.absolute()) for path in nodes or ()),
            device=device,
            budget_bytes=budget,
            checkpoint_interval_s=checkpoint_s,
            log=log,
        ),
        workers=workers,
        files=(*(_existing(path) for path in files or ()), *use_comfy_models(comfy_models)),
        hub=_hub(hub, clients),
        kept=retention.Limits(age_s=None if keep_days is None else keep_days * 86400),
    )
    with listen(host, port, has_token=clients is not None) as server:
        set_up_log(log)
        run(settings, server, clients, on_ready=_say_ready)


def _say_ready(url: str) -> None:
    out.print(f"ready: {url}")
    out.file.flush()


def _clients(token_file: Path | None) -> Clients | None:
    from limner.nodes._remote.token import DEFAULT_ENV, env_token
    from limner.server.clients import Clients, read_clients

    if token_file is not None:
        return read_clients(token_file)
    token = env_token(DEFAULT_ENV)
    return None if token is None else Clients.single(token)


def _folder(data: Path | None) -> Path:
    from limner.folders import server_folder

    return (data or server_folder()).expanduser().absolute()


def _cache(cache_dir: Path | None) -> Path:
    from limner.folders import cache_folder

    return (cache_dir or cache_folder()).expanduser().absolute()


def _hub(patterns: list[str] | None, clients: Clients | None) -> tuple[str, ...] | None:
    from limner.nodes._flux2.hub_right import FLUX2, HUB_ENV, read_patterns

    if patterns:
        return read_patterns(patterns)
    is_said = clients is None or clients.are_admins or HUB_ENV in os.environ
    return None if is_said else FLUX2


def _existing(path: Path) -> Path:
    if not path.expanduser().is_dir():
        raise InputError(f"--files {path}: there is no such folder")
    return path.expanduser().absolute()
