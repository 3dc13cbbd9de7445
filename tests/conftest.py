"""What holds for every test, and the encoder service that several folders ask."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as limner.nodes does, for tests that import torch before it

_DATA = tempfile.TemporaryDirectory()
os.environ["XDG_DATA_HOME"] = _DATA.name  # what the user keeps is no part of a test
os.environ.pop("LIMNER_HOME", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background, whose children would ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, except those of packages that warn about themselves."""
    # bitsandbytes and diffusers use torch.jit, which torch 2.13 deprecates
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")


@dataclass(frozen=True)
class Served:
    """A process that runs ``limner serve-encoder``."""

    process: subprocess.Popen[str]
    url: str
    identity: str
    token: str


@contextmanager
def serving(token: str) -> Iterator[Served]:
    """Start the service with the embedded model on a free port, and wait until it says that it is ready."""
    command = [sys.executable, "-m", "limner", "serve-encoder", "--model", "tiny", "--port", "0", "--device", "cpu"]
    settings = os.environ | {"LIMNER_TOKEN": token, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        try:
            assert process.stdout is not None
            said = dict(process.stdout.readline().strip().split(": ", 1) for _ in range(2))
            yield Served(process, said["ready"], said["model"], token)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def encoder() -> Iterator[Served]:
    """An encoder service with a token, started once."""
    with serving("a-token-of-tests-4711") as served:
        yield served
