"""What a transformer of half a billion weights takes of RAM when its groups wait on disk, against keeping it in RAM."""

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

POLL_S: Final = 0.002

CHILD: Final = """
import hashlib, json, sys, time
import torch
from limner.engine.offload import Offload
from limner.engine.pool import ModelPool
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel
from limner.nodes._flux2.loader import Flux2Loader

source, dtype, policy = sys.argv[1:]
offload = Offload.model_validate_json(policy)

@torch.no_grad()
def step(model, seed):
    generator = torch.Generator().manual_seed(seed)
    tokens, text = (torch.randn(1, n, model.config[width], generator=generator).to(model.dtype)
                    for n, width in ((64, "in_channels"), (32, "joint_attention_dim")))
    places = torch.zeros(1, 64, 4)
    places[0, :, 1] = torch.arange(64)
    guidance = torch.ones(1) if model.config["guidance_embeds"] else None
    return model(hidden_states=tokens, timestep=torch.tensor([0.5]), guidance=guidance, encoder_hidden_states=text,
                 txt_ids=torch.zeros(1, 32, 4), img_ids=places, return_dict=False)[0]

def run(spec, offload):
    pool, started = ModelPool(Flux2Loader()), time.perf_counter()
    with pool.hold(spec, "cpu", offload=offload) as live:
        loaded = time.perf_counter()
        results = [step(live.model, seed) for seed in range(3)]
        done = time.perf_counter()
        size = sum(t.numel() * t.element_size() for t in live.model.parameters())
        digest = hashlib.sha256(b"".join(one.float().numpy().tobytes() for one in results)).hexdigest()
        (resident,) = pool.residents()
        held = resident.footprint.held.get("cpu", 0)
    return {"size_bytes": size, "counted_bytes": held, "digest": digest, "load_s": loaded - started,
            "step_s": (done - loaded) / 3}

run(LoadModel().run(FakeContext()).transformer, Offload())  # imports and thread pools are not the model's
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(run(LoadModel(source=source, dtype=dtype).run(FakeContext()).transformer, offload)), flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class Case:
    """One way of holding the model; files that an earlier case wrote are there for the next."""

    policy: str
    dtype: str
    offload: dict[str, Any]


CASES: Final = [
    Case(policy, dtype, offload)
    for dtype in ("bfloat16", "float32")
    for policy, offload in (
        ("none", {"mode": "none"}),
        ("disk, leaf, first time", {"mode": "group"}),
        ("disk, leaf, again", {"mode": "group"}),
        ("disk, block, first time", {"mode": "group", "level": "block"}),
        ("disk, block, again", {"mode": "group", "level": "block"}),
    )
]


@dataclass(frozen=True)
class Measured:
    """Bytes that a process had beyond its start at the worst moment, and what it says of the model."""

    own_bytes: int
    """Anonymous memory: what nothing but swap could take away."""
    with_mapped_bytes: int
    """The same with mapped files, which the system may drop and read again."""
    size_bytes: int
    counted_bytes: int
    digest: str
    load_s: float
    step_s: float


def measure(folder: Path, disk: Path, case: Case) -> Measured:
    """Load and compute three steps, in a process of its own that is watched from here."""
    offload = case.offload | ({"disk": str(disk)} if case.offload["mode"] == "group" else {})
    command = [sys.executable, "-c", CHILD, str(folder), case.dtype, json.dumps(offload)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        start = _resident(child.pid)
        answers: list[str] = []
        reader = threading.Thread(target=lambda: answers.append(child.stdout.readline()))  # type: ignore[union-attr]  # see above
        child.stdin.write("\n")
        child.stdin.flush()
        reader.start()
        own = mapped = 0
        while reader.is_alive():
            now = _resident(child.pid)
            own, mapped = max(own, now[0] - start[0]), max(mapped, sum(now) - sum(start))
            time.sleep(POLL_S)
        child.stdin.write("\n")
    return Measured(own, mapped, **json.loads(answers[0]))


def _resident(pid: int) -> tuple[int, int]:
    """Anonymous and file-backed resident bytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
    return found["RssAnon"] + found["RssShmem"], found["RssFile"]


def build(folder: Path) -> None:
    """A model folder with a transformer of random weights: 0.5 billion in bfloat16, 1 GB."""
    import torch
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

    from limner.nodes._flux2.source import local_folder

    tiny = local_folder("tiny")
    assert tiny is not None
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("transformer", "limner.json"))
    torch.set_default_dtype(torch.bfloat16)
    transformer: Any = Flux2Transformer2DModel(
        num_layers=4, num_single_layers=24, attention_head_dim=128, num_attention_heads=8, joint_attention_dim=7680
    )
    transformer.save_pretrained(folder / "transformer")
    torch.set_default_dtype(torch.float32)


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json = parser.parse_args().json
    rows = []
    with tempfile.TemporaryDirectory() as root:
        build(Path(root) / "model")
        for case in CASES:
            rows.append((case, measure(Path(root) / "model", Path(root) / "disk", case)))
            print(".", end="", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps([asdict(case) | asdict(found) for case, found in rows], indent=2))
        return
    plain = {case.dtype: found for case, found in rows if case.policy == "none"}
    print(
        "\n| computed in | offload | weights | peak RAM | share | with mapped files "
        "| counted | loading | a step | bits |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|---|")
    for case, found in rows:
        print(
            f"| {case.dtype} | {case.policy} | {_gb(found.size_bytes)} | {_gb(found.own_bytes)} "
            f"| {found.own_bytes / found.size_bytes:.0%} | {_gb(found.with_mapped_bytes)} | {_gb(found.counted_bytes)} "
            f"| {found.load_s:.1f} s | {found.step_s:.2f} s "
            f"| {'the same' if found.digest == plain[case.dtype].digest else 'DIFFERENT'} |"
        )


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
