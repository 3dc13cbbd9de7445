"""What was measured: one JSON file that grows case by case, and the table of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cases import MATMUL, Case

from limner.engine.write import write_atomically

Entry = dict[str, Any]

_SETTLED: Final = ("done", "out of memory")
"""What need not be tried again; a case that was skipped or failed may go better next time."""


class Results:
    """Entries by the names of cases. Each is on disk as soon as it is known, so that a killed run loses one at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: dict[str, Entry] = json.loads(path.read_text()) if path.exists() else {}

    def is_settled(self, name: str) -> bool:
        """Whether a case was measured, or is known to be too large."""
        return self.entries.get(name, {}).get("status") in _SETTLED

    def put(self, name: str, entry: Entry) -> None:
        """Keep an entry, in the file too."""
        self.entries[name] = entry
        write_atomically(self._path, (json.dumps(self.entries, indent=1) + "\n").encode())


def table(entries: Mapping[str, Entry], cases: Iterable[Case]) -> str:
    """The entries of cases as Markdown; below, those without figures, with their reasons."""
    peak = entries.get(MATMUL, {}).get("flop_per_s")
    lines = [
        "| | weights | planned peak | peak | a step | TFLOP a step | TFLOP/s | of the matmul peak | against plain |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    missing = []
    if peak:
        lines.append(f"| matmul in bf16 | | | | | | {peak / 1e12:.1f} | 100% | |")
    for case in cases:
        entry = entries.get(case.name, {"status": "not tried"})
        if entry["status"] != "done":
            missing.append("- " + ": ".join([case.name, *(entry[key] for key in ("status", "reason") if key in entry)]))
            continue
        rate = entry["step_flop"] / entry["step_s"]
        cells = [
            _gigabytes(entry["weights_bytes"]),
            _gigabytes(entry.get("planned_bytes")),
            _gigabytes(entry["peak_bytes"]),
            f"{entry['step_s'] * 1000:.1f} ms",
            f"{entry['step_flop'] / 1e12:.3g}",
            f"{rate / 1e12:.3g}",
            f"{rate / peak:.1%}" if peak else "",
            _against(entry, entries.get(Case(case.model, references=case.references).name)),
        ]
        lines.append(f"| {case.name} | {' | '.join(cells)} |")
    return "\n".join([*lines, *(["", "Without figures:", "", *missing] if missing else [])]) + "\n"


def _gigabytes(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e9:.3g} GB"


def _against(entry: Entry, plain: Entry | None) -> str:
    """Time against the same model and references in bf16, native and without offload."""
    return "" if plain is None or plain["status"] != "done" else f"x{entry['step_s'] / plain['step_s']:.2f}"
