"""The scripts of benchmarks/ as modules."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path += [str(FOLDER), str(FOLDER / "gpu")]  # they are scripts, and no package
