"""``limner jobs``: a queue that outlives every process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from limner.engine.errors import InputError
from limner.jobs_backup_commands import backup, restore
from limner.jobs_option import JobArg, JobsDirOption, StoreOption, need_sqlalchemy, open_store
from limner.jobs_source import Change, Jobs, State, as_data, open_jobs
from limner.jobs_work_command import work
from limner.options import DebugOption, GraphArg, JsonOption, NodesOption, SetOption
from limner.remote_run import prepared
from limner.request import Request, registry_with
from limner.server_option import ServerOption, TokenFileOption, open_client
from limner.session import Session
from limner.source import read_source
from limner.terminal import err, friendly, out, print_path, report, show, table_width

app = typer.Typer(
    no_args_is_help=True, help="Hand in graphs, which workers run one after the other, and look after them."
)

JobsArg = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids, as [cyan]limner jobs list[/] shows them.")]


@app.command(epilog='Example:  limner jobs add text_to_image -s "prompt=a blue star on white"')
@friendly
def add(
    graph: GraphArg,
    values: SetOption = None,
    priority: Annotated[int, typer.Option(min=-1000, max=1000, help="Higher ones run first.")] = 0,
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Handed in again with the same key, it is the same job.")
    ] = None,
    nodes: NodesOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Hand in a graph. It is checked first; the job's id goes to stdout.

    [cyan]limner jobs work[/] runs it, now or later. Files that it reads are looked for where that runs: name them by
    absolute paths. What it saves goes into the store: [cyan]limner jobs save[/] copies it from there.
    """
    if server:
        if nodes:
            raise InputError("--nodes is about this machine: a server has nodes of its own", hint="leave it out")
        with open_client(server, token_file) as client:
            document, _ = prepared(client, graph, values or ())
            print(client.submit(document, priority=priority, key=key).id)
        return
    need_sqlalchemy()
    from limner.server.jobs import submit

    session = Session(registry=registry_with(nodes))
    source = read_source(session, graph)
    request = Request(session, graph if source.picture is None else source.document, values or ())
    request.check()
    with open_store(jobs_dir, store_url) as store:
        job = submit(store, session, request.document, beside=source.beside, priority=priority, idempotency_key=key)
    out.print(job.id)


@app.command("list")
@friendly
def list_jobs(
    state: Annotated[
        State | None, typer.Option(help="Only those of one state; pending ones come in their order.")
    ] = None,
    client: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of one client of a server.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="JOB", help="Those that follow this one in the list.")] = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """List jobs, the newest first."""
    from limner.jobs_tables import jobs_table

    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        page = jobs.list(state, client, after, limit)
    if as_json:
        listed = [as_data(job) for job in page.jobs]
        print(json.dumps({"jobs": listed, "next": page.next, "is_paused": page.is_paused}))
        return
    if page.jobs:
        show(jobs_table(page.jobs, table_width()))
    else:
        err.print("no jobs", style="dim")
    if page.is_paused:
        err.print("the queue is paused: limner jobs resume", style="yellow")
    if page.next is not None:
        err.print(f"there are more: --after {page.next}", style="dim")


@app.command("show")
@friendly
def show_job(
    job_id: JobArg,
    follows: Annotated[
        bool, typer.Option("--follow", "-f", help="Say what happens, until it has ended; exit code 0 if it completed.")
    ] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Say everything about a job: its nodes, why it failed, where its files are."""
    from limner.jobs_follow import follow
    from limner.jobs_tables import job_data, job_page

    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        if follows:
            raise typer.Exit(follow(jobs, job_id, as_json=as_json))
        whole = jobs.find(job_id)
    if as_json:
        print(json.dumps(job_data(whole)))
    else:
        show(job_page(whole))


@app.command()
@friendly
def save(
    job_id: JobArg,
    folder: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to; it is made.")] = Path(),
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Copy the files that a job gave, under their names. Nothing is replaced. Their paths go to stdout."""
    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        written = jobs.save(job_id, folder)
    for path in written:
        print_path(path)
    if not written:
        err.print("the job gave no files, or they were forgotten", style="dim")


@app.command()
@friendly
def cancel(
    job_ids: JobsArg,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """End jobs: those that wait at once, those that run within one step."""
    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        _for_each(jobs, job_ids, "cancel")


@app.command()
@friendly
def retry(
    job_ids: JobsArg,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Let jobs that failed or were cancelled wait again. What they finished is not computed again."""
    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        _for_each(jobs, job_ids, "retry")


OptionalJobsArg = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB...]", help="Ids; without one, the whole queue.")
]


@app.command()
@friendly
def pause(
    job_ids: OptionalJobsArg = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Hold jobs back; those that run stop after their step. Without ids no job begins any more."""
    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        if job_ids:
            _for_each(jobs, job_ids, "pause")
        else:
            jobs.change_all("pause")


@app.command()
@friendly
def resume(
    job_ids: OptionalJobsArg = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    jobs_dir: JobsDirOption = None,
    store_url: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Let paused jobs wait for their turn again. Without ids the whole queue goes on."""
    with open_jobs(server, token_file, jobs_dir, store_url) as jobs:
        if job_ids:
            _for_each(jobs, job_ids, "resume")
        else:
            jobs.change_all("resume")


app.command(epilog="Example:  limner jobs backup jobs-monday.db")(backup)
app.command(epilog="Example:  limner jobs restore jobs-monday.db --replace")(restore)
app.command(epilog="Example:  limner jobs work --device cuda:0 --keep-days 30")(work)


def _for_each(jobs: Jobs, job_ids: list[str], change: Change) -> None:
    """Change jobs one after the other, and say what each is now; at the end, exit where one could not be changed."""
    code = 0
    for job_id in job_ids:
        try:
            job = jobs.change(job_id, change)
        except InputError as error:
            code = report(error)
            continue
        word = "paused" if job.is_paused else job.state
        out.print(f"{job.id} {word}" + (f", {job.wish} asked for" if job.wish else ""))
    if code:
        raise typer.Exit(code)
