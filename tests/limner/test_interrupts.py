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

STEPS = 40
DRAW = ("run", "text_to_image", "--set", f"steps={STEPS}", "--set", "width=256", "--set", "height=256", "-o", "a.png")


@pytest.fixture
def start(model: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``limner`` in a process of its own."""
    with ExitStack() as running:

        def popen(*arguments: str, **options: Any) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "limner", *arguments, "--set", f"model={model}"]
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    limner: Any, start: Any, model: str, how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 or Ctrl-C in the middle of denoising the next run goes on, and ends in the same bytes."""
    process = start(*DRAW, "--json", "--checkpoint-every", "0")
    last = stop_in_the_middle(process, how)
    assert last < STEPS, "the run was over before it could be stopped"
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    assert process.stderr is not None
    assert ("run again to go on" in process.stderr.read()) == (how == signal.SIGINT)
    assert not Path("a.png").exists()

    again = limner(*DRAW, "--json", "--set", f"model={model}")
    (resumed,) = [event for event in again.events if event["event"] == "node_resumed"]
    assert resumed["node"] == "denoise"
    assert last - 1 <= resumed["step"] <= last
    assert "encode" in again.nodes("node_cached")
    first = next(e["step"] for e in again.events if e["event"] == "node_progress" and e["node"] == "denoise")
    assert first == resumed["step"] + 1
    assert not list(Path("cache").rglob("steps/*/*"))

    finished = Path("a.png").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    assert limner(*DRAW, "--no-cache", "--set", f"model={model}").code == 0
    assert Path("a.png").read_bytes() == finished


def test_an_interrupt_keeps_the_last_step_whatever_the_interval(limner: Any, start: Any, model: str) -> None:
    """Ctrl-C loses no finished step, even where checkpoints are rare."""
    process = start(*DRAW, "--json", "--checkpoint-every", "1000")
    last = stop_in_the_middle(process, signal.SIGINT)
    again = limner(*DRAW, "--json", "--set", f"model={model}")
    assert [event["step"] for event in again.events if event["event"] == "node_resumed"] == [last]


def test_a_full_disk_leaves_the_old_file(start: Any) -> None:
    """A picture that does not fit on the disk: one clear line, exit code 2, the old file as it was, no half one."""
    Path("a.png").write_bytes(b"old")
    limit = 1000

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(*DRAW, "--set", "steps=1", preexec_fn=fill_the_disk)
    stdout, stderr = process.communicate()
    assert process.returncode == 2
    assert stdout == ""
    assert "a.png cannot be written: File too large" in stderr
    assert "Traceback" not in stderr
    assert stderr.count("cannot write to the cache") == 1
    assert Path("a.png").read_bytes() == b"old"
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["a.png"]
    assert not [path for path in Path("cache").rglob("*") if path.suffix == ".part"]


def test_an_interrupt_while_starting_is_no_traceback(start: Any) -> None:
    """Ctrl-C before anything runs ends in one line as well."""
    process = start("run", "text_to_image", "--json")
    process.stdout.readline()  # run_started
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in stderr
