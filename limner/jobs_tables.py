"""Jobs for people: lists, and the page of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from limner.jobs_source import Whole, as_data
from limner.tables import table_of
from limner.terminal import printable, size

if TYPE_CHECKING:
    from limner.jobs_source import Job, NodeRun

_STYLES = {"completed": "green", "failed": "red", "in_progress": "cyan"}


def jobs_table(jobs: Iterable[Job], width: int) -> RenderableType:
    """One job a line: what there is no room for is shortened, or left out."""
    rows = [_row(job) for job in jobs]
    columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    layouts = [[name for name in columns if name not in left_out] for left_out in _LEFT_OUT]
    chosen = next((layout for layout in layouts if _width(columns, layout, least=True) <= width), layouts[-1])
    spare = width - _width(columns, chosen, least=True)
    table = table_of(*(_HEADINGS.get(name, name) for name in chosen))
    for name, column in zip(chosen, table.columns, strict=True):
        if name in _LEAST:
            least, whole = _of_column(columns, name, least=True), _of_column(columns, name, least=False)
            column.width = min(whole, least + spare)
            column.no_wrap, column.overflow = True, "ellipsis"
            spare -= column.width - least
        elif name != "job":
            column.no_wrap = True
    for row in rows:
        table.add_row(*(row[name] for name in chosen))
    return table


_LEFT_OUT: Final = (
    {"time"},
    {"date"},
    {"date", "took"},
    {"date", "message"},
    {"date", "message", "took"},
    {"date", "message", "took", "client"},
    {"date", "message", "took", "client", "time"},
)
"""What a list does without, the widest terminal first. An id is whole in any: it is there to be copied."""
_LEAST: Final = {"graph": 10, "message": 16}
"""The columns that are shortened, and how far."""
_HEADINGS: Final = {"date": "handed in", "time": "handed in", "message": ""}


def _row(job: Job) -> dict[str, Text]:
    said = (job.message or "").partition("\n")[0]
    return {
        "job": Text(job.id, style="cyan"),
        "state": _state(job),
        "graph": Text(printable(job.name, one_line=True)),
        "client": Text(printable(job.client, one_line=True)),
        "date": Text(_when(job.created)),
        "time": Text(_when(job.created)[5:16]),
        "took": Text(_took(job)),
        "message": Text(printable(said, one_line=True)),
    }


def _width(columns: Mapping[str, list[Text]], layout: list[str], *, least: bool) -> int:
    return sum(_of_column(columns, name, least=least) + 2 for name in layout) - 2


def _of_column(columns: Mapping[str, list[Text]], name: str, *, least: bool) -> int:
    """What a column takes, whole or as short as it may be."""
    whole = max(len(_HEADINGS.get(name, name)), *(cell.cell_len for cell in columns[name]))
    return min(whole, _LEAST.get(name, whole)) if least else whole


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
