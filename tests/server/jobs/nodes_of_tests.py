"""Nodes for workers of tests: quick, slow, deaf and deadly ones."""

import os
import signal
import time
import weakref
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.node import Keep, Node
from limner.nodes.pictures import Files, Image
from limner.nodes.tables import Table


class Steps(Node):
    """Counts to a number, a checkpoint at each step; each step is also written to a log, with the process."""

    keep: ClassVar[Keep] = "disk"
    count: int = 5
    seconds: float = 0.0
    log: str = ""
    salt: int = 0

    def run(self, ctx: Context, value: int = 0) -> int:
        done, state = ctx.resume(Table) or (0, Table(("step", "value"), ((0, value),)))
        for step in range(done + 1, self.count + 1):
            time.sleep(self.seconds)
            state = Table(("step", "value"), (*state.rows, (step, (int(state.rows[-1][1] or 0) * 31 + step) % 997)))
            if self.log:
                with Path(self.log).open("a") as file:
                    file.write(f"{self.salt} {step} {os.getpid()}\n")
            ctx.checkpoint(step, state)
            ctx.progress(step, self.count)
        return int(state.rows[-1][1] or 0)


class Numbers(Node):
    """Trivial."""

    def run(self, ctx: Context, value: int = 0) -> int:
        return value + 1


class Write(Node):
    """Writes a text into a file."""

    effect: ClassVar[bool] = True
    writes_to: ClassVar[frozenset[str]] = frozenset({"path"})
    path: str = "out/value.txt"
    beside: bool = False

    def run(self, ctx: Context, value: int) -> Files:
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
        if self.beside:
            path.with_name("beside.txt").write_text("also\n")
        ctx.warn("written")
        return Files((str(path),))


class Draw(Node):
    """A picture of one colour."""

    colour: int = 0

    def run(self, ctx: Context) -> Image:
        import numpy as np

        return Image(np.full((1, 4, 4, 3), self.colour, np.uint8))


class Late(Node):
    """Takes pictures, and then long."""

    def run(self, ctx: Context, images: Image) -> int:
        for step in range(1, 1001):
            time.sleep(0.02)
            ctx.progress(step, 1000)
        return len(images.pixels)


class Say(Node):
    """A text."""

    text: str = "hello"

    def run(self, ctx: Context) -> str:
        return self.text


class Kill(Node):
    """Ends the process that runs it."""

    how: int = Field(default=signal.SIGKILL)

    def run(self, ctx: Context) -> int:
        os.kill(os.getpid(), self.how)
        time.sleep(60)
        return 0


class Exit(Node):
    """Ends the process with a code."""

    def run(self, ctx: Context) -> int:
        os._exit(3)


class Deaf(Node):
    """Never looks whether it should stop."""

    log: str

    def run(self, ctx: Context) -> int:
        Path(self.log).write_text("begun")
        time.sleep(600)
        return 0


class Fail(Node):
    """Fails."""

    effect: ClassVar[bool] = True
    keep: ClassVar[Keep] = "nothing"

    def run(self, ctx: Context, value: int = 0) -> int:
        raise ValueError("as told")


class Knot(Node):
    """Leaves an object that only the collector can free, and whose end a file tells of."""

    log: str

    def run(self, ctx: Context) -> int:
        class Tied:
            def __init__(self) -> None:
                self.itself = self

        weakref.finalize(Tied(), Path(self.log).write_text, "freed")
        return 0
