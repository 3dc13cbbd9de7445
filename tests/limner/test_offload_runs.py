"""Whole runs under offload policies: the same picture, and memory that ends as it began."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import PIL.Image
import pytest

from limner import Graph, Offload, Session
from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.engine.registry import Registry
from limner.nodes import LoadModel
from limner.nodes.values import TextEncoder, Transformer

COMPUTING = ("encode", "denoise", "decode")


def text_to_image(offload: dict[str, Any] | str, path: Path) -> dict[str, Any]:
    """The template, with one policy for all that computes."""
    document: dict[str, Any] = json.loads((Path(__file__).parents[2] / "graphs" / "text_to_image.json").read_text())
    for name in COMPUTING:
        document["nodes"][name] |= {"offload": offload, "device": "cpu"}
    document["nodes"]["denoise"]["settings"] = {"steps": 2, "width": 64, "height": 64}
    document["nodes"]["save"]["settings"] = {"path": str(path)}
    return document


@pytest.mark.parametrize("level", ["leaf", "block"])
def test_a_picture_drawn_from_disk_is_the_same(tmp_path: Path, level: str) -> None:
    """All three models wait on disk, and of their weights only what lies outside groups is counted as RAM."""
    policies = {"none": "none", "disk": {"mode": "group", "level": level, "disk": str(tmp_path / "groups")}}
    pixels, kept = {}, {}
    for name, offload in policies.items():
        with Session() as session:
            session.run(text_to_image(offload, tmp_path / f"{name}.png"))
            kept[name] = sum(model.size_bytes for model in session.models())
        with PIL.Image.open(tmp_path / f"{name}.png") as image:
            pixels[name] = image.tobytes()
    assert pixels["disk"] == pixels["none"]
    assert kept["disk"] < kept["none"] / 100


class HoldTransformer(Node):
    """Has a transformer alive for a moment."""

    on_device: ClassVar[bool] = True
    turn: int = 0

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        return Forecast()

    def run(self, ctx: Context, model: Transformer, before: int = 0) -> int:
        with ctx.hold(model):
            return self.turn


class HoldTextEncoder(Node):
    """Has a text encoder alive for a moment."""

    on_device: ClassVar[bool] = True
    turn: int = 0

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        return Forecast()

    def run(self, ctx: Context, model: TextEncoder, before: int = 0) -> int:
        with ctx.hold(model):
            return self.turn


def taking_turns(turn: int, offload: Offload) -> Graph:
    """Two nodes, one after the other, that want two models."""
    graph = Graph("turns")
    model = graph.add(LoadModel(dtype="bfloat16"))
    first = graph.add(HoldTextEncoder(turn=turn), device="cpu", offload=offload, model=model.text_encoder)
    graph.add(HoldTransformer(turn=turn), device="cpu", offload=offload, model=model.transformer, before=first)
    return graph


@pytest.fixture
def quick_collector() -> Iterator[None]:
    """Passes over what is alive now: the frameworks have a million objects, and each model that leaves is a pass."""
    gc.freeze()
    yield
    gc.unfreeze()


def rss_bytes() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.usefixtures("quick_collector")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for resident memory")
@pytest.mark.parametrize("policy", ["none", "disk"])
def test_fifty_runs_on_a_full_device_end_with_the_memory_of_the_second(tmp_path: Path, policy: str) -> None:
    """There is room for either model and not for both: each run loads both again, and nothing of the others stays."""
    offload = Offload(mode="group", disk=str(tmp_path)) if policy == "disk" else Offload(mode="none")
    registry = Registry.installed()
    registry.add(HoldTransformer)
    registry.add(HoldTextEncoder)
    with Session(registry=registry) as free:
        free.run(taking_turns(0, Offload(mode="none")))
        sizes = [model.size_bytes for model in free.models()]
    budget = max(sizes) + min(sizes) // 2
    with Session(registry=registry, budget_bytes={"cpu": budget}) as session:
        pool: Any = session.executor.models
        for turn in range(50):
            session.run(taking_turns(turn, offload))
            if turn == 1:
                after_two = (pool.used_bytes("cpu"), len(pool.residents()), rss_bytes())
        assert (pool.used_bytes("cpu"), len(pool.residents())) == after_two[:2]
        assert pool.used_bytes("cpu") <= budget
        assert len(pool.residents()) == (2 if policy == "disk" else 1)
        assert rss_bytes() - after_two[2] < 3 * sum(sizes), "two copies of both are 48 runs' leak, and noise is less"
