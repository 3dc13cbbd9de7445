"""Importing the engine is cheap: no framework comes with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "diffusers", "transformers", "accelerate", "aiohttp", "PIL", "numpy", "typer", "rich")

import limner.engine  # noqa: E402  # to find its folder


def test_no_module_of_the_engine_imports_a_framework() -> None:
    """All modules of the engine, imported in a fresh process, bring none of the heavy packages."""
    names = sorted(path.stem for path in Path(limner.engine.__path__[0]).glob("*.py") if path.stem != "__init__")
    assert len(names) > 20
    code = "import sys\n" + "".join(f"import limner.engine.{name}\n" for name in names)
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
