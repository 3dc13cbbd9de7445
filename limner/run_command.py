"""``limner run``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from limner.comfy_graph import ComfyModelsOption, use_comfy_models
from limner.engine.errors import GraphError, InputError
from limner.engine.models import ResidentModel
from limner.folders import cache_folder
from limner.memory_option import MemoryOption, read_memory
from limner.options import CacheDirOption, DebugOption, DeviceOption, GraphArg, NoCacheOption, NodesOption, SetOption
from limner.plan_tables import offload_lines
from limner.progress import Bars, Display, JsonLines, Lines, Silent
from limner.remote_run import RemoteRun, options_of_here
from limner.request import Request, faults_as_data, registry_with
from limner.running import exit_for, paths_of, print_paths, run_plan
from limner.server_option import ServerOption, TokenFileOption
from limner.session import Session
from limner.sweep_command import SweepRun
from limner.sweep_options import (
    BatchOption,
    GridOption,
    MaxVariantsOption,
    SweepOption,
    SweepOptions,
    TableOption,
    TimesOption,
)
from limner.sweep_progress import sweep_display
from limner.tables import models_table
from limner.terminal import err, friendly, tell_left_out


@friendly
def run(
    context: typer.Context,
    graph: GraphArg,
    values: SetOption = None,
    out_path: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="PATH", help="Where to save: a file (replaced), or a folder ending in /."),
    ] = None,
    sweep: SweepOption = None,
    grid: GridOption = None,
    table: TableOption = None,
    times: TimesOption = False,
    batch: BatchOption = None,
    max_variants: MaxVariantsOption = None,
    device: DeviceOption = "auto",
    memory: MemoryOption = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One event a line on stdout, as JSON; the last one says where the pictures are."),
    ] = False,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Chrome trace of the run, for Perfetto.")
    ] = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With --server: print the job's id, and do not wait for it.")
    ] = False,
    comfy_models: ComfyModelsOption = None,
    nodes: NodesOption = None,
    cache_dir: CacheDirOption = None,
    no_cache: NoCacheOption = False,
    checkpoint_every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            envvar="LIMNER_CHECKPOINT_EVERY",
            help="How much denoising a crash may cost; 0 keeps every step.",
        ),
    ] = 2.0,
    force: Annotated[bool, typer.Option("--force", help="Run even where the plan says that it does not fit.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the pictures' paths only.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Tell of every model that comes and goes, and which stay at the end."),
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Run a graph. Pictures' paths go to stdout, progress to stderr."""
    if quiet and verbose:
        raise InputError("--quiet and --verbose exclude each other", hint="leave one of them out")
    use_comfy_models(comfy_models)
    if server:
        display = _display(as_json=as_json, quiet=quiet, verbose=verbose)
        faults = options_of_here(context)
        asked = RemoteRun(server, token_file, graph, tuple(values or ()), out_path, is_detached=detach, faults=faults)
        with _faults_as_json(as_json):
            asked.run(display, as_json=as_json, quiet=quiet, debug=debug)
        return
    if detach or token_file is not None:
        raise InputError("--detach and --token-file are for runs on a server", hint="name it with --server URL")
    folder = None if no_cache else cache_dir or cache_folder()
    budgets, faults = read_memory(memory or ())
    sweeping = SweepOptions(tuple(sweep or ()), grid, table, times, batch, max_variants, trace)
    faults += sweeping.faults()
    with Session(
        registry=registry_with(nodes),
        cache_dir=folder,
        device=device,
        checkpoint_interval_s=checkpoint_every,
        budget_bytes=budgets,
        force=force,
    ) as session:
        with _faults_as_json(as_json):
            request = Request(session, graph, values or (), out_path, faults)
            if sweeping.sweep:
                progress = sweep_display(err, as_json=as_json, quiet=quiet, verbose=verbose)
                work = SweepRun(request, sweeping, progress, is_talkative=not quiet and not as_json)
            else:
                plan = request.plan()
                session.refuse_overflow(plan)
                tell_left_out(() if quiet or as_json else request.left_out)
        if sweeping.sweep:
            is_complete = work.run(debug=debug)
            if verbose:
                _show_models(session.models(), as_json=as_json)
            work.finish(is_complete=is_complete, as_json=as_json, quiet=quiet, is_kept=folder is not None)
            return
        if not quiet and not as_json:
            for line in offload_lines(plan):
                err.print(line, style="dim")
        result = run_plan(session, plan, _display(as_json=as_json, quiet=quiet, verbose=verbose), trace)
        if verbose:
            _show_models(session.models(), as_json=as_json)
        if as_json:
            print(json.dumps({"event": "files", "paths": paths_of(result)}))
        else:
            print_paths(result)
        exit_for(result, is_kept=folder is not None, debug=debug)


@contextmanager
def _faults_as_json(as_json: bool) -> Iterator[None]:
    """Within, faults are also said on stdout, where JSON was asked for."""
    try:
        yield
    except GraphError as error:
        if as_json:
            print(json.dumps({"event": "faults", "faults": faults_as_data(error)}))
        raise


def _show_models(models: Sequence[ResidentModel], *, as_json: bool) -> None:
    """What is alive after the run: with ``as_json`` as one more line on stdout, otherwise as a table on stderr."""
    if as_json:
        rows = [
            {"model": str(m.spec), "device": m.device, "size_bytes": m.size_bytes, "budget_bytes": m.budget_bytes}
            for m in models
        ]
        print(json.dumps({"event": "models", "models": rows}))
    elif models:
        err.print(models_table(models))
    else:
        err.print("no model is in memory: nothing that needs one was run", style="dim")


def _display(*, as_json: bool, quiet: bool, verbose: bool) -> Display:
    if as_json:
        return JsonLines()
    if quiet:
        return Silent()
    return Bars(err, is_verbose=verbose) if err.is_terminal else Lines(err, is_verbose=verbose)
