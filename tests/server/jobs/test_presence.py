"""Which workers live."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from limner.engine.errors import StoreError
from limner.server.jobs.presence import Presence

ENTER = """
import sys
from pathlib import Path
from limner.server.jobs.presence import Presence
lock = Presence(Path(sys.argv[1])).enter("other")
print("entered", flush=True)
sys.stdin.read()
"""


def test_a_worker_is_gone_with_its_process(tmp_path: Path) -> None:
    """While a process lives its worker is there; killed, it is gone at once. Of strangers nothing is known."""
    presence = Presence(tmp_path / "workers")
    command = [sys.executable, "-c", ENTER, str(tmp_path / "workers")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        assert presence.gone(["other", "elsewhere", "no/name at all"]) == []
        with pytest.raises(StoreError, match="lock"):
            presence.enter("other")
        process.kill()
        process.wait()
    assert presence.gone(["other", "elsewhere"]) == ["other"]
    presence.forget("other")
    assert presence.gone(["other"]) == []
