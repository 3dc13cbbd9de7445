"""Measuring on a GPU, tried on a CPU: what is settled is not measured again, and one failure ends nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases import MATMUL, Case, cases_of
from measure import MODELS, in_a_process, main, measure
from obstacles import Machine, obstacle, weights_bytes
from one_case import measure_case
from planned import planned_bytes
from results import Results, table

from limner.nodes._flux2.weigh import weigh
from limner.nodes.specs import Transformer

CPU = Machine("cpu", "cpu", 8 << 30, 8 << 30)
H100 = Machine("cuda:0", "NVIDIA H100", 80 << 30, 512 << 30, (9, 0))
DONE = {"status": "done", "weights_bytes": 5, "peak_bytes": 9, "step_s": 0.5, "step_flop": 10**12}


class FakeRunner:
    """Gives what a test says for each case, and remembers who asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, what: str, device: str) -> dict[str, Any]:
        name = what if what == MATMUL else Case(**json.loads(what)).name
        self.asked.append(name)
        return dict(self.answers.get(name, DONE if name != MATMUL else {"status": "done", "flop_per_s": 4e12}))


def test_a_second_run_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    """Done and out of memory are settled; failed and skipped are tried again, as is what nobody came to."""
    first, second, third = (Case("tiny-random", references=count) for count in (0, 1, 4))
    path, said = tmp_path / "a.json", list[str]()
    runner = FakeRunner(
        **{second.name: {"status": "failed", "reason": "no"}, third.name: {"status": "out of memory", "reason": "full"}}
    )
    measure([first, second, third], CPU, Results(path), runner, said.append)
    assert runner.asked == [MATMUL, first.name, second.name, third.name]
    assert said[1:] == [
        f"{first.name}: 500.0 ms a step",
        f"{second.name}: failed: no",
        f"{third.name}: out of memory: full",
    ]
    again, fourth = FakeRunner(), Case("tiny-random", "nf4")
    measure([first, second, third, fourth], CPU, Results(path), again, said.append)
    assert again.asked == [second.name, fourth.name]
    entry = Results(path).entries[first.name]
    assert entry["device"] == "cpu"
    assert {"date", "torch", "diffusers"} <= set(entry)


def test_every_entry_is_on_disk_before_the_next_is_measured(tmp_path: Path) -> None:
    """A run that is killed loses the case that it was at, and no other."""

    def dies(what: str, device: str) -> dict[str, Any]:
        if what != MATMUL and Case(**json.loads(what)).references:
            raise KeyboardInterrupt
        return dict(DONE)

    with pytest.raises(KeyboardInterrupt):
        measure(list(cases_of("tiny-random")), CPU, Results(tmp_path / "a.json"), dies, lambda line: None)
    assert set(Results(tmp_path / "a.json").entries) == {MATMUL, "tiny-random/bf16/refs0"}


def test_the_table_has_what_was_measured_and_why_the_rest_was_not() -> None:
    plain, slow, other = Case("dev"), Case("dev", offload="leaf"), Case("dev", "nf4")
    entries = {
        MATMUL: {"status": "done", "flop_per_s": 4e12},
        plain.name: DONE | {"planned_bytes": 70_000_000_000, "peak_bytes": 71_200_000_000},
        slow.name: DONE | {"step_s": 1.0},
        other.name: {"status": "skipped", "reason": "no such package"},
    }
    rows = table(entries, [plain, slow, other, Case("klein-4b")]).splitlines()
    assert rows[2] == "| matmul in bf16 | | | | | | 4.0 | 100% | |"
    assert rows[3].startswith("| dev/bf16/refs0 | 5e-09 GB | 70 GB | 71.2 GB | 500.0 ms | 1 | 2 | 50.0% | x1.00 |")
    assert rows[4].endswith("| 1000.0 ms | 1 | 1 | 25.0% | x2.00 |")
    assert rows[-2:] == ["- dev/nf4/refs0: skipped: no such package", "- klein-4b/bf16/refs0: not tried"]


@pytest.mark.parametrize(
    ("case", "machine", "reason"),
    [
        (Case("dev"), replace(H100, memory_bytes=48 << 30), "64.4 GB of weights, and cuda:0 has 51.5 GB"),
        (Case("dev", offload="leaf-stream"), replace(H100, ram_bytes=32 << 30), "34.4 GB of RAM to keep them in"),
        (Case("dev", "fp8-dynamic"), replace(H100, capability=(8, 0)), "Ada generation or newer"),
        (Case("klein-4b", attention="_flash_3_hub"), replace(H100, capability=(8, 9)), "needs a Hopper GPU"),
        (Case("tiny-random", offload="leaf-stream"), CPU, "streams need CUDA"),
        (Case("tiny-random", is_compiled=True), CPU, "compiling for a CPU"),
        (Case("dev", "nf4"), replace(H100, memory_bytes=24 << 30), None),
        (Case("dev", offload="leaf-stream"), replace(H100, memory_bytes=8 << 30), None),
        (Case("dev", references=4), H100, None),
    ],
)
def test_what_cannot_be_measured_is_known_before_trying(case: Case, machine: Machine, reason: str | None) -> None:
    found = obstacle(case, machine)
    assert found is None if reason is None else reason in str(found)


def test_a_case_that_crashes_is_an_entry() -> None:
    """The last line that the process said is the reason."""
    entry = in_a_process('{"model": "none such"}', "cpu")
    assert entry["status"] == "failed"
    assert "none such" in entry["reason"]


def test_the_real_shapes_are_planned() -> None:
    """For each released model, weights in their precision and offload, and more for references."""
    dev = weigh(Transformer(source="black-forest-labs/FLUX.2-dev"), "cuda:0").weight_bytes
    plain, referring = (planned_bytes(Case("dev", references=count), "cuda:0") for count in (0, 4))
    assert dev < plain < referring < dev + 20e9
    assert planned_bytes(Case("dev", "nf4"), "cuda:0") < 0.35 * dev
    assert planned_bytes(Case("dev", offload="leaf-stream"), "cuda:0") < 0.1 * dev
    assert planned_bytes(Case("tiny-random"), "cuda:0") is None
    every = [case for model in MODELS for case in cases_of(model)]
    assert len({case.name for case in every}) == len(every)
    assert all((planned_bytes(case, "cuda:0") or 0) > 0 for case in every)


def test_weights_are_random_in_every_precision() -> None:
    """Made in place and quantized as ``Quantize`` does it, a model of each precision steps, and takes its bytes."""
    found = {name: measure_case(Case("tiny-random", name, references=1), "cpu") for name in ("bf16", "fp8", "nf4")}
    sizes = {name: entry["weights_bytes"] for name, entry in found.items()}
    assert sizes["bf16"] > 1.8 * sizes["fp8"] > 1.8 * sizes["nf4"]
    assert sizes["bf16"] == pytest.approx(weights_bytes(Case("tiny-random")), rel=0.01)
    assert all(entry["step_s"] > 0 and entry["peak_bytes"] is None for entry in found.values())
    assert len({entry["step_flop"] for entry in found.values()}) == 1


def test_the_whole_of_it_runs_on_a_cpu(tmp_path: Path, capsys: Any) -> None:
    """Plain and offloaded, each in a process of its own; a second run has nothing to do."""
    arguments = ["--device", "cpu", "--model", "tiny-random", "--only", "bf16/refs0", "--out", str(tmp_path)]
    main(arguments)
    entries = json.loads((tmp_path / "cpu.json").read_text())
    done = {name for name, entry in entries.items() if entry["status"] == "done"}
    assert done == {MATMUL, "tiny-random/bf16/refs0", "tiny-random/bf16/refs0/offload-leaf"}
    page = (tmp_path / "cpu.md").read_text()
    assert "| tiny-random/bf16/refs0 |" in page
    assert "offload-leaf-stream: skipped: streams need CUDA" in page
    capsys.readouterr()
    main(arguments)
    assert capsys.readouterr().out.count("known already") == 2
