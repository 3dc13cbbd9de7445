"""What loading a component costs in host memory, beyond the component itself: a synthetic checkpoint of 2 GB.

Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

GOAL: Final = 1.2
POLL_S: Final = 0.002
FILES: Final = {"one file": 10_000_000_000, "shards": 400_000_000}
"""Bytes a file."""

BUILD: Final = """
import sys, torch
from diffusers import Flux2Transformer2DModel
from transformers import Qwen3Config, Qwen3ForCausalLM

folder, size = sys.argv[1], int(sys.argv[2])
torch.set_default_dtype(torch.bfloat16)
Flux2Transformer2DModel(
    num_layers=4, num_single_layers=10, attention_head_dim=128, num_attention_heads=16, joint_attention_dim=7680
).save_pretrained(f"{folder}/transformer", max_shard_size=size)
config = Qwen3Config(hidden_size=2048, intermediate_size=6144, num_hidden_layers=28, vocab_size=4096)
Qwen3ForCausalLM(config).save_pretrained(f"{folder}/text_encoder", max_shard_size=size)
"""

CHILD: Final = """
import sys
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, Quantize
from limner.nodes._flux2.checkpoint import find_checkpoint
from limner.nodes._flux2.loader import Flux2Loader

source, component, dtype, method = sys.argv[1:]
loader = Flux2Loader()
for part in LoadModel().run(FakeContext()):  # imports, thread pools and kernels are not the checkpoint's
    loader.load(part, "cpu")
spec = getattr(LoadModel(source=source, dtype=dtype).run(FakeContext()), component)
if method:
    tiny = getattr(LoadModel().run(FakeContext()), component)
    loader.load(Quantize(method=method).run(FakeContext(), tiny), "cpu")
    spec = Quantize(method=method).run(FakeContext(), spec)
stored = find_checkpoint(spec).component.stored_bytes
print("ready", flush=True)
sys.stdin.readline()
live = loader.load(spec, "cpu")
print(stored, loader.size_bytes(live), flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class Case:
    """One way of loading."""

    component: str
    files: str
    dtype: str
    method: str = ""


CASES: Final = [
    Case(component, files, dtype, method)
    for component in ("transformer", "text_encoder")
    for files in FILES
    for dtype, method in (("bfloat16", ""), ("float32", ""), ("float16", ""), ("bfloat16", "nf4"), ("bfloat16", "int8"))
]


@dataclass(frozen=True)
class Measured:
    """Bytes of the loaded component, and of what the process had beyond its start, at the worst moment."""

    stored_bytes: int
    size_bytes: int
    peak_bytes: int
    peak_mapped_bytes: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Peak over size: as stored, or as loaded where that is more."""
        return self.peak_bytes / max(self.stored_bytes, self.size_bytes)


def measure(folder: Path, case: Case) -> Measured:
    """Load once, in a process of its own that is watched from here."""
    command = [sys.executable, "-c", CHILD, str(folder), case.component, case.dtype, case.method]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        before, started = _memory(child.pid), time.perf_counter()
        child.stdin.write("\n")
        child.stdin.flush()
        own = mapped = 0
        answer = _Line(child.stdout)
        while not answer.is_here():
            now = _memory(child.pid)
            own = max(own, now["RssAnon"] + now["RssShmem"])
            mapped = max(mapped, now["RssAnon"] + now["RssShmem"] + now["RssFile"])
            time.sleep(POLL_S)
        seconds = time.perf_counter() - started
        stored_bytes, size_bytes = map(int, answer.text.split())
        child.stdin.write("\n")
    start = before["RssAnon"] + before["RssShmem"]
    return Measured(stored_bytes, size_bytes, own - start, mapped - start - before["RssFile"], seconds)


class _Line:
    """A line of another process, awaited without blocking."""

    def __init__(self, stream: Any) -> None:
        self.text = ""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        self.text = stream.readline()

    def is_here(self) -> bool:
        return not self._thread.is_alive()


def _memory(pid: int) -> dict[str, int]:
    """Resident bytes of a process by kind, from the kernel."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss", "VmHWM"))}


def build(folder: Path, shard_bytes: int) -> None:
    """A model folder with random weights, of 2 GB a component in bfloat16."""
    from limner.nodes._flux2.source import local_folder

    tiny = local_folder("tiny")
    assert tiny is not None
    for part in ("scheduler", "tokenizer", "vae"):
        shutil.copytree(tiny / part, folder / part)
    shutil.copy(tiny / "model_index.json", folder)
    subprocess.run([sys.executable, "-c", BUILD, str(folder), str(shard_bytes)], check=True, capture_output=True)


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json = parser.parse_args().json
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for files, shard_bytes in FILES.items():
            build(Path(root) / files, shard_bytes)
        for case in CASES:
            rows.append((case, measure(Path(root) / case.files, case)))
            print(".", end="", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps([asdict(case) | asdict(found) for case, found in rows], indent=2))
        return
    print("\n| component | files | loaded as | stored | in memory | peak | ratio | goal | with mapped files | time |")
    print("|---|---|---|--:|--:|--:|--:|---|--:|--:|")
    for case, found in rows:
        sizes = (found.stored_bytes, found.size_bytes, found.peak_bytes, found.peak_mapped_bytes)
        stored, size, peak, mapped = (f"{count / 1e9:.2f} GB" for count in sizes)
        print(
            f"| {case.component} | {case.files} | {case.method or case.dtype} | {stored} | {size} | {peak} "
            f"| {found.ratio:.2f} | {'met' if found.ratio <= GOAL else 'missed'} | {mapped} | {found.seconds:.1f} s |"
        )


if __name__ == "__main__":
    main()
