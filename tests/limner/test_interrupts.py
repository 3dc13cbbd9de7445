"""Nothing is lost: interrupts, kills and full disks cost at most what was in hand."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

STEPS = 24
SIZE = ("--set", "width=64", "--set", "height=64")
DRAW = ("run", "text_to_image", "--set", f"steps={STEPS}", *SIZE, "--out", "a.png")


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``limner`` in a process of its own."""
    with ExitStack() as running:

        def popen(*arguments: str, **options: Any) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "limner", *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
            running.enter_context(process)
            running.callback(process.kill)
            return process

        yield popen


def stop_in_the_middle(process: subprocess.Popen[str], how: signal.Signals) -> int:
    """Send a signal once some steps are done. Gives the last step that was reported."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "node_progress" and event["node"] == "denoise" and event["step"] >= 4:
            process.send_signal(how)
            break
    rest = [json.loads(line) for line in process.stdout]
    process.wait()
    return max([event["step"], *(e["step"] for e in rest if e["event"] == "node_progress" and e["node"] == "denoise")])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file that a run makes when nobody stops it."""
    from limner.commands import app

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        assert CliRunner().invoke(app, [*DRAW, "--no-cache"]).exit_code == 0
        return Path("a.png").read_bytes()


@pytest.mark.parametrize(("how", "checkpoint_every"), [(signal.SIGKILL, "0"), (signal.SIGINT, "1000")])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    limner: Any, start: Any, undisturbed: bytes, how: signal.Signals, checkpoint_every: str
) -> None:
    """After kill -9 or Ctrl-C in the middle of denoising the next run goes on, and ends in the same bytes.

    An interrupt loses no finished step, even where checkpoints are rare.
    """
    process = start(*DRAW, "--json", "--checkpoint-every", checkpoint_every)
    last = stop_in_the_middle(process, how)
    assert last < STEPS, "the run was over before it could be stopped"
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    said = process.stderr.read()
    assert ("run again to go on" in said) == (how == signal.SIGINT)
    assert ("stopping… (Ctrl-C again: at once)" in said) == (how == signal.SIGINT)
    assert not Path("a.png").exists()

    again = limner(*DRAW, "--json")
    (resumed,) = [event for event in again.events if event["event"] == "node_resumed"]
    assert resumed["node"] == "denoise"
    assert resumed["step"] in ((last,) if how == signal.SIGINT else (last, last + 1))
    assert "encode" in again.nodes("node_cached")
    first = next(e["step"] for e in again.events if e["event"] == "node_progress" and e["node"] == "denoise")
    assert first == resumed["step"] + 1
    assert Path("a.png").read_bytes() == undisturbed
    assert not list(Path("cache").rglob("steps/*/*")), "a checkpoint stayed after its work was finished"


def test_an_interrupt_without_a_cache_promises_nothing(start: Any) -> None:
    """With --no-cache nothing is kept, and that is what is said."""
    process = start(*DRAW, "--json", "--no-cache")
    stop_in_the_middle(process, signal.SIGINT)
    assert process.returncode == 130
    assert "nothing of this run is kept" in process.stderr.read()


def test_a_full_disk_leaves_the_old_file(start: Any) -> None:
    """A picture that does not fit on the disk: one clear line, exit code 2, the old file as it was, no half one."""
    Path("a.png").write_bytes(b"old")
    limit = 1000

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start("run", "text_to_image", *SIZE, "--set", "steps=1", "--out", "a.png", preexec_fn=fill_the_disk)
    stdout, stderr = process.communicate()
    assert process.returncode == 2
    assert stdout == ""
    assert "a.png cannot be written: File too large" in stderr
    assert "Traceback" not in stderr
    assert stderr.count("cannot write to the cache") == 1
    assert Path("a.png").read_bytes() == b"old"
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["a.png"]
    assert not [path for path in Path("cache").rglob("*") if path.suffix == ".part"]
