"""The first and the last moments of the process: Ctrl-C while it starts, a pipe that closes while it writes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

START = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["limner", "run", "text_to_image", "--no-cache", "--quiet"]
from limner.cli import main
main()
"""


@pytest.mark.parametrize("name", ["limner.commands", "typer", "pydantic", "torch", "limner.nodes._flux2.loader"])
def test_ctrl_c_while_something_is_imported_ends_quietly(name: str) -> None:
    """Whatever is being imported when Ctrl-C comes, the code is 130 and there is no traceback."""
    ended = subprocess.run(
        [sys.executable, "-c", START.format(name=name)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("wait_s", [0.5, 1.5])
def test_ctrl_c_soon_after_the_start(wait_s: float) -> None:
    """Ctrl-C soon after the start, wherever that finds the process, gives no traceback."""
    command = [sys.executable, "-m", "limner", "run", "text_to_image", "--no-cache", "--out", "a.png"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(wait_s)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert "Traceback" not in stderr
    assert process.returncode in (130, -signal.SIGINT, 0)


def test_an_ignored_interrupt_stays_ignored() -> None:
    """A process that was started in the background, with Ctrl-C ignored, is not ended by it."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + START.format(name="limner.commands")
    code = code.replace('"run", "text_to_image", "--no-cache", "--quiet"', '"--version"')
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("limner ")


@pytest.mark.parametrize("command", ["schema", "nodes", "validate text_to_image", "templates --json", "--help"])
def test_a_closed_pipe_is_no_error(command: str) -> None:
    """A reader that has enough, such as ``head -1``, closes the pipe: nothing is said about it."""
    limner = [sys.executable, "-m", "limner", *command.split()]
    with subprocess.Popen(limner, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_run_whose_events_nobody_reads_ends_quietly() -> None:
    """``limner run --json | head -1``: the run stops, without a traceback."""
    limner = [sys.executable, "-m", "limner", "run", "text_to_image", "--json", "--no-cache", "--set", "steps=50"]
    with subprocess.Popen(limner, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "run_started" in process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()  # a framework may have something to say
        assert "Traceback" not in said
        assert "BrokenPipe" not in said
        assert "terminate called" not in said
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("command", ["schema", "show text_to_image", "templates --json", "--help"])
def test_a_full_disk_is_said_in_one_line(command: str) -> None:
    """Where stdout takes nothing more, one line says so, and the code is 2."""
    limner = [sys.executable, "-m", "limner", *command.split()]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(limner, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.stderr == "✗ the output cannot be written: No space left on device\n"
    assert ended.returncode == 2
