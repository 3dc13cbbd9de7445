"""FLUX.2's real shapes on a GPU, with random weights: seconds of a step, peak memory, share of the compute limit.

Run with ``python benchmarks/gpu/measure.py`` on a machine with CUDA. It needs no checkpoint. Each case runs in a
process of its own, so that running out of memory ends that case only; what is measured stands at once in
``benchmarks/gpu/results/<device>.json``, and a second run goes on where the first one stopped. The table is beside it.

Without a GPU, ``--device cpu --model tiny-random`` tries everything on a model that draws nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cases import MATMUL, Case, cases_of
from obstacles import Machine, obstacle
from planned import planned_bytes
from results import Entry, Results, table

from limner.nodes._flux2.device import find_devices

HERE: Final = Path(__file__).parent
MODELS: Final = ("dev", "klein-4b", "klein-9b")
_LIMIT_S: Final = 3600

Runner = Callable[[str, str], Entry]
"""Measures a case (as JSON, or ``matmul``) on a device."""


def in_a_process(what: str, device: str) -> Entry:
    """Measure in a child process. A crash is an entry too."""
    command = [sys.executable, str(HERE / "one_case.py"), what, device]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"status": "failed", "reason": f"took more than {_LIMIT_S} s"}
    lines = ran.stdout.splitlines()
    if ran.returncode == 0 and lines:
        answer: Entry = json.loads(lines[-1])
        return answer
    said = [line for line in ran.stderr.splitlines() if line.strip()]
    return {"status": "failed", "reason": said[-1].strip() if said else f"ended with {ran.returncode}"}


def measure(cases: Iterable[Case], machine: Machine, results: Results, run: Runner, say: Callable[[str], None]) -> None:
    """Measure what is not settled yet, and say of each case what came of it."""
    if not results.is_settled(MATMUL):
        _take(None, run(MATMUL, machine.device), machine, results, say)
    for case in cases:
        if results.is_settled(case.name):
            say(f"{case.name}: known already")
        elif reason := obstacle(case, machine):
            _take(case, {"status": "skipped", "reason": reason}, machine, results, say)
        else:
            _take(case, run(case.to_json(), machine.device), machine, results, say)


def _take(case: Case | None, entry: Entry, machine: Machine, results: Results, say: Callable[[str], None]) -> None:
    name = MATMUL if case is None else case.name
    if case is not None and entry["status"] == "done":
        entry = entry | {"planned_bytes": planned_bytes(case, machine.device)}
    where = {"device": machine.name, "torch": version("torch"), "diffusers": version("diffusers")}
    results.put(name, entry | where | {"date": datetime.now(UTC).date().isoformat()})
    if "step_s" in entry:
        say(f"{name}: {entry['step_s'] * 1000:.1f} ms a step")
    else:
        say(": ".join([name, entry["status"], *([entry["reason"]] if "reason" in entry else [])]))


def find_machine(device: str) -> Machine:
    """The device and the memory around it. Exits where there is no such device."""
    devices = find_devices()
    if device not in devices:
        sys.exit(f"this machine has no {device}; it has {', '.join(devices)}")
    memory, ram = (devices[name].memory_bytes or 0 for name in (device, "cpu"))
    if device == "cpu":
        return Machine(device, "cpu", memory, ram)
    import torch

    name = torch.cuda.get_device_name(device)
    return Machine(device, name, memory, ram, torch.cuda.get_device_capability(device))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="where to measure (%(default)s)")
    parser.add_argument("--model", action="append", choices=[*MODELS, "tiny-random"], help=f"any of {MODELS}, or all")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="cases with this in their names")
    parser.add_argument("--out", type=Path, default=HERE / "results", metavar="DIR", help="where results are kept")
    options = parser.parse_args(arguments)
    machine = find_machine(options.device)
    slug = re.sub(r"[^a-z0-9]+", "-", machine.name.lower()).strip("-")
    path = options.out / f"{slug}.json"
    every = [case for model in options.model or MODELS for case in cases_of(model)]
    chosen = [case for case in every if all(text in case.name for text in options.only)]
    results = Results(path)
    measure(chosen, machine, results, in_a_process, print)
    page = f"{machine.name}\n\n{table(results.entries, chosen)}"
    path.with_suffix(".md").write_text(page)
    print(f"\n{page}\n{path}")


if __name__ == "__main__":
    main()
