"""``limner run --server``: a job on a server that looks like a run here, with the same files, words and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.result import Result
from limner.interrupts import INTERRUPTED, raised
from limner.nodes.values import Files
from limner.progress import Display
from limner.remote_events import RunEvents
from limner.remote_output import Destination, places, written_there
from limner.request import Request
from limner.running import exit_for, paths_of, print_paths
from limner.server_option import open_client
from limner.session import Session
from limner.terminal import err

if TYPE_CHECKING:
    from limner import client as remote

_OF_HERE = {
    "sweep": "--sweep",
    "grid": "--grid",
    "table": "--table",
    "times": "--times",
    "batch": "--batch",
    "max_variants": "--max-variants",
    "device": "--device",
    "memory": "--memory",
    "trace": "--trace",
    "nodes": "--nodes",
    "cache_dir": "--cache-dir",
    "no_cache": "--no-cache",
    "checkpoint_every": "--checkpoint-every",
    "force": "--force",
}
"""Options that are about this machine."""


@dataclass(frozen=True)
class RemoteRun:
    """What is to run, and where."""

    server: str
    token_file: Path | None
    graph: str
    values: tuple[str, ...] = ()
    out_path: str | None = None
    is_detached: bool = False
    faults: Sequence[Fault] = ()
    """Of the command line."""

    def run(self, display: Display, *, as_json: bool, quiet: bool, debug: bool) -> None:
        """Hand the graph in, show what happens, and fetch its files.

        Raises what a run here raises, and RemoteError.
        """
        with open_client(self.server, self.token_file) as client:
            document, destinations = prepared(client, self.graph, self.values, self.out_path, self.faults)
            job = client.submit(document)
            if self.is_detached:
                print(json.dumps({"event": "job", "id": job.id}) if as_json else job.id)
                return
            if not as_json and not quiet:
                err.print(f"job {job.id} on {client.url}", style="dim")
            result = _fetched(_follow(job, client.url, document.name, display), destinations)
        if as_json:
            print(json.dumps({"event": "files", "paths": paths_of(result)}))
        else:
            print_paths(result)
        exit_for(result, is_kept=True, debug=debug)


def prepared(
    client: remote.Client,
    name: str,
    values: Iterable[str] = (),
    out_path: str | None = None,
    faults: Iterable[Fault] = (),
) -> tuple[Document, dict[str, Destination]]:
    """A graph as a server gets it, and where its files belong. Raises GraphError with all faults where any is seen."""
    from limner.client.outgoing import self_contained

    session = Session()
    request = Request(session, _graph(session, client, name), values, out_path, faults)
    try:
        complete = self_contained(session, request.changed(), request.beside)
    except GraphError as error:
        if request.faults:
            raise GraphError([*error.faults, *_faults_there(client, request.document)]) from None
        raise
    return written_there(complete, session.registry)


def _faults_there(client: remote.Client, document: Document) -> Sequence[Fault]:
    """What the server finds wrong, so that it is said together with what was found here."""
    try:
        client.check(written_there(document, Session().registry)[0])
    except GraphError as error:
        return error.faults
    return ()


def _fetched(found: remote.Result, destinations: Mapping[str, Destination]) -> Result:
    """What a run here would have given, its files written."""
    if found.status == "failed" and not found.failures:
        found.raise_for_failures()
    files = {
        node: {"files": Files(tuple(str(path) for path in found.write(own)))}
        for node, own in places(destinations, found.files)
    }
    return Result(found.status, files, found.failures, found.seconds)


def options_of_here(context: typer.Context) -> list[Fault]:
    """Options that were given and mean nothing on a server. What the environment says of this machine may stay."""
    sources = {option: context.get_parameter_source(name) for name, option in _OF_HERE.items()}
    given = [option for option, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    hint = 'leave it out, or run here: leave --server out (with LIMNER_SERVER set, --server "")'
    return [Fault(f"{option} is about this machine, and --server runs the graph there", hint=hint) for option in given]


def _graph(session: Session, client: remote.Client, name: str) -> str | Document:
    """A template of the server as a document; a graph of this machine by its name. Raises InputError."""
    from limner.client.outgoing import is_here, is_name

    if not is_name(name):
        return name
    try:
        return session.document(client.template(name).graph)
    except InputError:
        if not is_here(name):
            raise
    return name


def _follow(job: remote.Job, url: str, name: str, display: Display) -> remote.Result:
    """Show what happens until the job has ended. The first interrupt cancels it; the second leaves it."""
    events, seen, is_cancelled = RunEvents(name), 0, False
    with raised(), display:
        while True:
            try:
                if is_cancelled:
                    job.cancel()
                for event in job.events(seen):
                    seen = event.seq or seen
                    for one in events.of(event):
                        display.show(one)
                return job.wait()
            except KeyboardInterrupt:
                if is_cancelled:
                    break
                is_cancelled = True
    err.print(f"left as it is: limner jobs show {job.id} --server {url}", style="yellow")
    raise typer.Exit(INTERRUPTED)
