"""What ``limner plan`` predicts against what is measured: weights, and the peak of a whole graph.

Run with ``python benchmarks/plan_accuracy.py [--json]``. Each case is ``text_to_image`` in a process of its own, once
with the embedded model and once with a transformer of half a billion random weights in its place, after the embedded
model has drawn once, so that frameworks and thread pools are not counted.

On a GPU, what is measured is ``torch.cuda.max_memory_allocated``. On a CPU it is the most that was alive at once of:

- what torch's allocator gave out, which is what the plan speaks of: every allocation and its end, by
  ``torch.profiler``, in the thread that draws;
- groups that are mapped from their files, from when they come to when they go;
- weights that are alive at the end and that this thread did not allocate: those that stay mapped from the checkpoint,
  and those that transformers reads in threads of its own. A checkpoint that is only mapped while it is read is the
  system's cache.

*Grown by* is what the system sees: the largest anonymous resident memory (``RssAnon``, asked every millisecond), less
what the process had. It has freed memory that malloc keeps for later, Python's objects and the notes of the profiler,
so it changes from run to run; mapped files are not in it. It is shown beside the peak, and no goal is held to it.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from limner.engine.document import Document, parse
from limner.engine.offload import NONE, Offload
from limner.engine.plan import Plan
from limner.engine.pool import ModelPool
from limner.engine.remedies import Edit, applied
from limner.engine.testing import FakeContext
from limner.session import Session

GOALS: Final = {"weights": 0.05, "peak": 0.15}
FIRST, AGAIN = "group, disk, first time", "group, disk, again"
"""One writes the files of the groups, the other finds them."""
CASES: Final = ("none", "nf4", "int8", FIRST, AGAIN, "model", "group")
SIZES: Final = {"embedded": (128, 2), "synthetic": (512, 1)}
"""Pixels a side and steps."""
PROMPT: Final = "a red circle on a #203040 background"


@dataclass(frozen=True)
class Row:
    """One case: bytes predicted, and measured where this machine can do it."""

    model: str
    case: str
    weights_predicted: int
    peak_predicted: int
    weights_measured: int | None = None
    peak_measured: int | None = None
    grown_by: int | None = None

    @property
    def errors(self) -> tuple[float, float] | None:
        """Relative errors of weights and peak."""
        if not self.weights_measured or not self.peak_measured:
            return None
        return self.weights_predicted / self.weights_measured - 1, self.peak_predicted / self.peak_measured - 1


class Block(NamedTuple):
    """Memory that was taken, or given back where the size is negative."""

    start_ns: int
    size_bytes: int
    place: int
    """Its address."""
    total_bytes: int
    """What the allocator says that it has given out by then."""


def document(source: str, case: str, model: str, device: str, disk: str) -> Document:
    """The graph of a case."""
    from limner.graphs.library import GraphLibrary

    found, _ = parse(GraphLibrary().load("text_to_image"))
    assert found is not None
    side, steps = SIZES[model]
    settings = {"steps": steps, "width": side, "height": side}
    edits = [Edit(("nodes", "model", "settings"), {"source": source})]
    edits.append(Edit(("nodes", "denoise", "settings"), settings))
    edits.append(Edit(("nodes", "encode", "settings"), {"prompt": PROMPT}))
    edits += [Edit(("nodes", name, "device"), device) for name in ("encode", "denoise", "decode")]
    edits += [Edit(("nodes", name, "offload"), "none") for name in ("encode", "decode")]
    edits.append(
        Edit(("nodes", "denoise", "offload"), policy(case, disk).model_dump(mode="json", exclude_defaults=True))
    )
    if case in ("nf4", "int8"):
        wires = {"model": "model.transformer"}
        edits.append(Edit(("nodes", "small"), {"type": "Quantize", "settings": {"method": case}, "wires": wires}))
        edits.append(Edit(("nodes", "denoise", "wires", "transformer"), "small"))
    return applied(found, edits)


def policy(case: str, disk: str) -> Offload:
    """The offload policy of a case."""
    if case in ("none", "nf4", "int8"):
        return NONE
    return Offload(mode="model") if case == "model" else Offload(mode="group", disk=disk if "disk" in case else None)


def predict(source: str, case: str, model: str, device: str, disk: str) -> tuple[int, int]:
    """Bytes of the transformer's weights, and the peak on the device."""
    from limner.engine.device import Device, DeviceTable

    devices = DeviceTable([Device(device), Device("cpu")])
    memory = Session(devices=devices).plan(document(source, case, model, device, disk)).memory
    assert memory is not None
    step = next(step for step in memory.steps if step.node == "denoise")
    return step.models[0].weight_bytes, memory.peak_bytes[device]


class Here(FakeContext):
    """A context of the main thread, which is the one that torch's profiler follows."""

    pool: ModelPool
    offload: Offload = NONE

    @contextmanager
    def hold(self, model: Any) -> Iterator[Any]:
        """From the pool, under the node's policy."""
        with self.pool.hold(model, self.device, offload=self.offload) as live:
            yield live


def draw(plan: Plan, pool: ModelPool) -> None:
    """Run a plan's nodes in order, in this thread, and save nothing."""
    values: dict[tuple[int, int], Any] = {}
    for index, step in enumerate(plan.steps):
        if step.node.type.cls.effect:
            continue
        node = step.node.node
        assert node is not None
        context = Here(device=step.device)
        context.pool, context.offload = pool, step.offload
        inputs = {wire.port: values[wire.sources[0]] for wire in step.node.wires}
        run: Any = getattr(node, "run")  # noqa: B009  # each class declares its own
        given = run(context, **inputs)
        outputs = given if isinstance(given, tuple) and hasattr(given, "_fields") else (given,)
        values |= {(index, output): value for output, value in enumerate(outputs)}


def child(source: str, case: str, model: str, device: str, disk: str) -> dict[str, int]:
    """Measure one case in this process: bytes of the live transformer, and the peak."""
    import torch

    from limner.nodes._flux2.loader import Flux2Loader
    from limner.nodes._flux2.size import module_bytes

    session = Session()
    warm = session.plan(document("tiny", case, "embedded", device, disk + "-warm"))
    draw(warm, ModelPool(Flux2Loader()))
    plan = session.plan(document(source, case, model, device, disk))
    pool = ModelPool(Flux2Loader())
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        draw(plan, pool)
        found = {"peak": torch.cuda.max_memory_allocated(device) - before}
    else:
        blocks, grown_by = _watched(lambda: draw(plan, pool))
        groups = {path.stat().st_size for path in Path(disk).rglob("*.safetensors")}
        peak, places = followed(blocks, groups)
        found = {"peak": peak + _unseen_bytes(pool, places), "grown_by": grown_by}
    live = next(one.module.model for one in pool.residents() if one.spec.component == "transformer")  # type: ignore[attr-defined]  # of FLUX.2
    tensors = (*live.parameters(), *live.buffers())
    on_disk = policy(case, disk).disk is not None  # what waits there has a size, and no memory
    return {"weights": sum(one.nbytes for one in tensors) if on_disk else module_bytes(live)} | found


def _watched(compute: Callable[[], None]) -> tuple[list[Block], int]:
    """All that torch allocated meanwhile, and by how much the anonymous memory of this process had grown at most."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        ctypes.CDLL(None).malloc_trim(0)
        before = peak = _resident()
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.001):
                peak = max(peak, _resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            compute()
        finally:
            done.set()
            watcher.join()
    results: Any = profiled.profiler
    return sorted(_blocks(results.kineto_results.experimental_event_tree())), peak - before


def _blocks(events: Sequence[Any]) -> Iterator[Block]:
    """What the profiler notes of memory, below all that it notes of operations."""
    pending = list(events)
    while pending:
        event = pending.pop()
        pending.extend(event.children)
        kind, fields = event.typed
        if kind.name == "Allocation":
            yield Block(event.start_time_ns, fields.alloc_size, fields.ptr, fields.total_allocated)


def followed(blocks: Iterable[Block], groups: Collection[int]) -> tuple[int, set[int]]:
    """The most that was alive at once, of torch's allocator and of mapped files that are as long as a group's; and
    where the allocator's blocks lie that are alive at the end.

    A mapping is known by the allocator's own count of what it gave out, which does not change with it.
    """
    places: set[int] = set()
    allocated = mapped = peak = 0
    for block in blocks:
        if block.total_bytes == allocated + block.size_bytes:
            allocated += block.size_bytes
            (places.add if block.size_bytes > 0 else places.discard)(block.place)
        elif abs(block.size_bytes) in groups:
            mapped += block.size_bytes
        peak = max(peak, allocated + mapped)
    return peak, places


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _unseen_bytes(pool: ModelPool, places: Collection[int]) -> int:
    """Bytes of live weights that do not lie where the allocator gave something out to this thread."""
    modules = [getattr(resident.module, "model", resident.module) for resident in pool.residents()]
    tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
    unseen = {one.data_ptr(): one.nbytes for one in tensors if one.untyped_storage().data_ptr() not in places}
    return sum(unseen.values())


def build(folder: Path) -> None:
    """The embedded model with a transformer of 0.5 billion random weights, stored in float32."""
    import torch
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

    from limner.nodes._flux2.source import local_folder

    tiny = local_folder("tiny")
    assert tiny is not None
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("transformer"))
    own = json.loads((tiny / "transformer" / "config.json").read_text())
    sizes = {"num_layers": 4, "num_single_layers": 8, "attention_head_dim": 64, "num_attention_heads": 24}
    torch.manual_seed(0)
    transformer: Any = Flux2Transformer2DModel.from_config(own | sizes)
    transformer.save_pretrained(folder / "transformer", max_shard_size="1GB")


def can_run(case: str, device: str) -> bool:
    """Whether a device does something of its own in a case: on a CPU, all weights are in RAM already."""
    return device != "cpu" or case not in ("model", "group")


def rows(device: str, folder: Path, cases: Sequence[str], models: Sequence[str]) -> Iterator[Row]:
    """Every case of each model."""
    sources = {"embedded": "tiny", "synthetic": str(folder / "synthetic")}
    if "synthetic" in models:
        build(folder / "synthetic")
    for model in models:
        source = sources[model]
        for case in cases:
            disk = str(folder / f"groups-{model}")
            where = device if can_run(case, device) else "cuda:0"
            predicted = predict(source, case, model, where, disk)
            measured: Mapping[str, int] = {}
            if can_run(case, device):
                command = [sys.executable, __file__, "--child", source, case, model, device, disk]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                measured = json.loads(done.stdout.splitlines()[-1])
            yield Row(model, case, *predicted, *map(measured.get, ("weights", "peak", "grown_by")))


def line(row: Row) -> str:
    """A row of the table."""
    predicted, measured = (row.weights_predicted, row.peak_predicted), (row.weights_measured, row.peak_measured)
    sizes = [size for pair in zip(predicted, measured, strict=True) for size in pair]
    cells = [row.model, row.case, *("" if size is None else f"{size / 1e6:,.1f}" for size in (*sizes, row.grown_by))]
    if row.errors is None:
        return f"| {' | '.join(cells)} | | planned only, for a GPU |"
    weights, peak = row.errors
    is_met = abs(weights) <= GOALS["weights"] and abs(peak) <= GOALS["peak"]
    return f"| {' | '.join(cells)} | {weights:+.1%} / {peak:+.1%} | {'met' if is_met else 'missed'} |"


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print data instead of a table")
    parser.add_argument("--only", nargs="*", help="some of the cases")
    parser.add_argument("--models", nargs="*", default=list(SIZES), choices=list(SIZES), help="one of the models")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(*given.child)))
        return
    from limner.nodes._flux2.device import find_devices

    device = find_devices().default
    if not given.json:
        titles = ["model", "case", "weights: planned, MB", "measured", "peak: planned, MB", "measured", "grown by"]
        print(f"| {' | '.join(titles)} | errors | goal |")
        print("|---|---|--:|--:|--:|--:|--:|--:|---|")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(device, Path(folder), given.only or CASES, given.models):
            found.append(row)
            if not given.json:
                print(line(row), flush=True)
    if given.json:
        print(json.dumps([vars(row) for row in found], indent=2))


if __name__ == "__main__":
    main()
