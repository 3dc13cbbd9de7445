"""What the engine itself costs: chains and fans of trivial nodes, in CPU time a node and peak memory.

Run with ``python benchmarks/engine_overhead.py [--json]``. Each row is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from load_nodes import Add, Start

from limner.engine.cache import Cache
from limner.engine.check import check
from limner.engine.device import DeviceTable
from limner.engine.executor import Executor
from limner.engine.plan import make_plan
from limner.engine.registry import Registry
from limner.engine.result import Result

SIZES = (1_000, 10_000, 100_000)
REPEATS = {1_000: 7, 10_000: 3, 100_000: 1}
GOALS_US = {"checking": 30, "cold": 50, "cached": 20}


REGISTRY = Registry([Start, Add])


def make(shape: str, nodes: int, changed: int | None = None) -> dict[str, Any]:
    """The parsed JSON of a chain, or of a fan: one node that all others take. ``changed`` has another setting."""
    graph: dict[str, Any] = {"n0": {"type": "Start"}}
    for i in range(1, nodes):
        amount = i if i != changed else i + 1_000_000
        source = f"n{i - 1}" if shape == "chain" else "n0"
        graph[f"n{i}"] = {"type": "Add", "settings": {"amount": amount}, "wires": {"value": source}}
    return {"limner": 1, "name": shape, "nodes": graph}


def cpu_us(action: Callable[[], Any], nodes: int) -> float:
    """CPU time of all threads, in microseconds a node."""
    began = time.process_time()
    action()
    return (time.process_time() - began) / nodes * 1e6


def measure_once(shape: str, nodes: int) -> dict[str, float]:
    """One graph: checked, run cold, run again, and run after one change in the middle. Planning counts as running."""
    raw, other = make(shape, nodes), check(make(shape, nodes, changed=nodes // 2), REGISTRY)
    graph = check(raw, REGISTRY)
    with Executor(cache=Cache(1 << 30)) as executor:

        def run(checked: Any) -> None:
            result: Result = executor.run(make_plan(checked, DeviceTable()))
            assert result.status == "completed", result.failures

        return {
            "checking": cpu_us(lambda: check(raw, REGISTRY), nodes),
            "cold": cpu_us(lambda: run(graph), nodes),
            "cached": cpu_us(lambda: run(graph), nodes),
            "changed": cpu_us(lambda: run(other), nodes),
        }


def measure(shape: str, nodes: int) -> dict[str, Any]:
    """The best of several measurements, and the peak memory of this process."""
    rows = [measure_once(shape, nodes) for _ in range(REPEATS.get(nodes, 1))]
    best = {name: round(min(row[name] for row in rows), 1) for name in rows[0]}
    return {"shape": shape, "nodes": nodes} | best | {"peak_mb": _peak_mb()}


def _peak_mb() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure_apart(shape: str, nodes: int) -> dict[str, Any]:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--one", shape, str(nodes)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def machine() -> str:
    """What the figures were taken on, in one line."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    versions = ", ".join(f"{name} {version(name)}" for name in ("limner", "pydantic", "networkx"))
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {versions}"


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    head = "| graph | nodes | checking | cold run | fully cached | one change in the middle | peak memory |"
    lines = [head, "|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        cells = [f"{row[name]:.1f} us" for name in ("checking", "cold", "cached", "changed")]
        lines.append(f"| {row['shape']} | {row['nodes']:,} | {' | '.join(cells)} | {row['peak_mb']} MB |")
    return "\n".join(lines)


def verdict(rows: list[dict[str, Any]]) -> list[str]:
    """How the rows stand to the goals."""
    lines = []
    for name, goal in GOALS_US.items():
        worst = max(row[name] for row in rows)
        growth = max(
            max(row[name] for row in rows if row["shape"] == shape and row["nodes"] == SIZES[-1])
            / max(row[name] for row in rows if row["shape"] == shape and row["nodes"] == SIZES[0])
            for shape in ("chain", "fan")
        )
        lines.append(
            f"{name}: at most {worst:.1f} us a node (goal {goal}); "
            f"at {SIZES[-1]:,} nodes {growth:.2f} times the cost a node at {SIZES[0]:,} (goal 2)"
        )
    return lines


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--one", nargs=2, metavar=("SHAPE", "NODES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    rows = [measure_apart(shape, nodes) for shape in ("chain", "fan") for nodes in SIZES]
    if options.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    else:
        print(
            "\n".join([machine(), "CPU time a node; planning counts as running.", "", table(rows), "", *verdict(rows)])
        )


if __name__ == "__main__":
    main()
