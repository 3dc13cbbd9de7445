"""Lists of jobs: a line for each, in any terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from limner.jobs_tables import jobs_table
from limner.server.jobs.job import Job, State

LONG = "the graph cannot be run: there is no model folder /srv/models/flux which somebody has moved"


def a_job(number: int, message: str | None = None, name: str = "text_to_image", client: str = "") -> Job:
    state: State = "completed" if message is None else "failed"
    job_id = f"{number:032x}"
    return Job(
        id=job_id,
        name=name,
        client=client,
        state=state,
        priority=0,
        is_paused=False,
        wish=None,
        worker=None,
        attempts=1,
        deaths=0,
        last_seq=3,
        created=1e9,
        started=1e9,
        finished=1e9 + 12.3,
        message=message,
        hint=None,
    )


def lines(jobs: list[Job], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(jobs_table(jobs, width))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 240])
@pytest.mark.parametrize("name", ["text_to_image", "remote_encoder_nf4_18gb_of_somebody", "星" * 30])
@pytest.mark.parametrize("client", ["", "a_client_with_a_long_name"])
def test_each_job_is_a_line(width: int, name: str, client: str) -> None:
    """Whatever the terminal is wide, a job is one line with its whole id; what there is no room for is left out."""
    found = lines([a_job(n, LONG if n % 2 else None, name, client) for n in range(4)], width)
    assert len(found) == 5
    for number, line in enumerate(found[1:]):
        assert line.startswith(f"{number:032x}")
        assert ("failed" if number % 2 else "completed") in line


def test_more_is_said_where_there_is_room() -> None:
    """At 80 columns a list has the time and how long jobs took, and a wide one says the date and why one failed."""
    plain = lines([a_job(1)], 80)
    assert plain[0].split() == ["job", "state", "graph", "handed", "in", "took"]
    assert plain[1].endswith("12.3 s")
    assert "text_to_image" in plain[1]
    failed = lines([a_job(1, LONG)], 100)[1]
    assert failed.endswith("…")
    assert "the graph cann" in failed
    wide = lines([a_job(1, LONG, client="anna")], 240)[1]
    assert wide.endswith(LONG)
    assert "2001-09-0" in wide
    assert "anna" in wide
