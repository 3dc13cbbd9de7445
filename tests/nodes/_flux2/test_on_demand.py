"""Frameworks are imported when a model is wanted, not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from limner import Session
with Session(cache_dir=sys.argv[1]) as session:
    session.run("text_to_image", seed=5, **{"denoise.steps": 1, "save.path": sys.argv[2]})
print("torch" in sys.modules)
"""


@pytest.mark.skipif(
    any(Path(driver).exists() for driver in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")) or sys.platform != "linux",
    reason="where there may be an accelerator, torch is asked for it",
)
def test_a_run_that_the_cache_answers_imports_no_torch(tmp_path: Path) -> None:
    """The second run of a graph only writes its picture, in a process that never loads a framework."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "cache"), str(tmp_path / "picture.png")]
    seen = [
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout.strip()
        for _ in range(2)
    ]
    assert seen == ["True", "False"]
