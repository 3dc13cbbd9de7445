"""What is said in a terminal is true, and safe to show."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from limner.engine.errors import Cancelled
from limner.terminal import LogLine, print_path, report


def test_a_nodes_log_names_the_node() -> None:
    """A message through ``ctx.log`` says which node it comes from; other messages stand alone."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger = logging.Logger("limner.node")
    handler = Keep()
    handler.setFormatter(LogLine())
    logger.addHandler(handler)
    logging.LoggerAdapter(logger, {"node": "paint"}).warning("dry in %d s", 3)
    logger.warning("a \x1b[31mred one")
    assert lines == ["paint: dry in 3 s", "a \\x1b[31mred one"]


@pytest.mark.parametrize(
    ("is_kept", "said"), [(True, "the last step are kept"), (False, "nothing of this run is kept"), (None, "")]
)
def test_an_interrupt_promises_only_what_is_kept(is_kept: bool | None, said: str, capfd: Any) -> None:
    """Without a cache on disk nobody is told that the next run goes on."""
    assert report(Cancelled(), is_kept=is_kept) == 130
    stderr = capfd.readouterr().err
    assert stderr.startswith("interrupted")
    assert said in stderr
    assert ("kept" in stderr) == (is_kept is not None)


def test_a_path_steers_no_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A pipe gets the very name of a file; a terminal one with escapes in the place of what would steer it."""
    name = "x\ny\x1b[31m.png"
    print_path(name)
    assert capsys.readouterr().out == f"{name}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_path(name)
    assert capsys.readouterr().out == "x\\ny\\x1b[31m.png\n"
