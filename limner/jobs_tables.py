"""Jobs for people: lists, and the page of one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from limner.jobs_source import Whole, as_data
from limner.tables import table_of
from limner.terminal import printable, size

if TYPE_CHECKING:
    from limner.jobs_source import Job, NodeRun

_STYLES = {"completed": "green", "failed": "red", "in_progress": "cyan"}


def jobs_table(jobs: Iterable[Job]) -> RenderableType:
    """One job a line."""
    jobs = list(jobs)
    has_clients = any(job.client for job in jobs)
    table = table_of("job", "state", "graph", *(["client"] if has_clients else []), "handed in", "took", "")
    for job in jobs:
        client = [printable(job.client)] if has_clients else []
        said = printable((job.message or "").partition("\n")[0], one_line=True)
        name = printable(job.name, one_line=True)
        table.add_row(Text(job.id, style="cyan"), _state(job), name, *client, _when(job.created), _took(job), said)
    return table


def job_page(whole: Whole) -> RenderableType:
    """Everything about one job."""
    job, nodes, files = whole.job, whole.nodes, whole.files
    head = table_of("", "")
    head.show_header = False
    for name, value in (
        ("job", job.id),
        ("graph", printable(job.name)),
        ("client", printable(job.client)),
        ("state", _state(job)),
        ("handed in", _when(job.created)),
        ("took", _took(job)),
        ("attempts", str(job.attempts) if job.attempts > 1 else ""),
        ("message", printable(job.message or "")),
        ("hint", printable(job.hint or "")),
    ):
        if value:
            head.add_row(Text(name, style="dim"), value)
    parts: list[RenderableType] = [head]
    if nodes:
        table = table_of("node", "type", "state", "took", "")
        for run in sorted(nodes, key=lambda run: run.started or 0):
            table.add_row(
                Text(run.node, style="cyan"),
                run.type or "",
                _node_state(run),
                _seconds(run.seconds),
                printable(run.message or "", one_line=True),
            )
        parts += ["", table]
    if files:
        table = table_of("file", "size", "where it is")
        for artifact, path in files:
            table.add_row(Text(printable(artifact.name), style="cyan"), size(artifact.size_bytes), path)
        parts += ["", table]
    return Group(*parts)


def job_data(whole: Whole) -> dict[str, Any]:
    """Everything about one job as JSON can hold it."""
    files = [as_data(one) | {"path": path} for one, path in whole.files]
    return as_data(whole.job) | {"nodes": [as_data(run) for run in whole.nodes], "artifacts": files}


def _state(job: Job) -> Text:
    word = "paused" if job.is_paused else f"{job.state}, {job.wish} asked for" if job.wish else job.state
    return Text(word, style=_STYLES.get(job.state, ""))


def _node_state(run: NodeRun) -> str:
    is_under_way = run.state == "running" and run.step is not None
    return f"{run.state} {run.step}/{run.total}" if is_under_way and run.total else run.state


def _when(time: float) -> str:
    return datetime.fromtimestamp(time).strftime("%Y-%m-%d %H:%M:%S")  # local, for people


def _took(job: Job) -> str:
    return _seconds(job.finished - job.started) if job.started is not None and job.finished is not None else ""


def _seconds(count: float | None) -> str:
    return "" if count is None else f"{count:.1f} s"
