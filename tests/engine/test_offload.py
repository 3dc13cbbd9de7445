"""Offload policies: how graphs write them, what is refused, and what the plan makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
from lab import DEVICES, NODES, graph, node

from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.document import Document, parse, schema
from limner.engine.errors import Fault, GraphError
from limner.engine.flat import flat_document
from limner.engine.graph import Graph
from limner.engine.keys import node_keys
from limner.engine.node import Node
from limner.engine.offload import AUTO, NONE, Offload
from limner.engine.plan import Plan, make_plan
from limner.engine.registry import Registry

GROUP = {"mode": "group", "level": "block", "blocks_per_group": 2}


class Heavy(Node):
    on_device: ClassVar[bool] = True

    def run(self, ctx: Context, value: int = 0) -> int:
        return 0


REGISTRY = Registry([*NODES, Heavy])


class Shelf:
    """One graph under the name ``inner``: a node that computes, and one that does not."""

    def load(self, name: str) -> Any:
        nodes = {"s": node("Start"), "h": node("Heavy", {"value": "s"}), "g": heavy("none")}
        return graph(nodes, outputs={"h": "h", "g": "g"})

    def path(self, name: str) -> Path:
        return Path("/") / name

    def beside(self, name: str) -> Shelf:
        return self


def heavy(offload: Any = "auto", device: str = "cuda:0") -> dict[str, Any]:
    return node("Heavy", device=device) | {"offload": offload}


def plan(**nodes: object) -> Plan:
    return make_plan(check(graph(nodes), REGISTRY, Shelf()), DEVICES)


def faults(**nodes: object) -> list[Fault]:
    with pytest.raises(GraphError) as caught:
        plan(**nodes)
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("group", Offload(mode="group")),
        ({"mode": "group"}, Offload(mode="group")),
        (GROUP, Offload(mode="group", level="block", blocks_per_group=2)),
        ({"mode": "group", "stream": True, "low_cpu_mem": True}, Offload(mode="group", stream=True, low_cpu_mem=True)),
        ({"mode": "group", "disk": "/tmp/x"}, Offload(mode="group", disk="/tmp/x")),
        ("none", NONE),
        ("auto", AUTO),
    ],
)
def test_a_policy_survives_its_file(written: Any, policy: Offload) -> None:
    """Read, it is the policy; written again, a mode alone stays one word; both fit the schema."""
    document, found = parse(graph({"h": heavy(written)}))
    assert document is not None
    assert not found
    assert document.nodes["h"].offload == policy
    again = json.loads(document.to_json())
    short = written["mode"] if written == {"mode": "group"} else written
    assert again["nodes"]["h"].get("offload", "auto") == short
    assert parse(again) == (document, [])
    jsonschema.validate(again, schema())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("grup", "offload: 'grup' is none of auto, none, model, group; did you mean group? @ nodes.h.offload"),
        (3, "offload: must be an object @ nodes.h.offload"),
        ({"mode": "disk"}, "mode: must be 'auto', 'none', 'model' or 'group' @ nodes.h.offload.mode"),
        ({"mode": "group", "levl": "leaf"}, "levl: unknown key @ nodes.h.offload.levl (did you mean level?)"),
        ({"mode": "model", "stream": True}, "offload: stream: only group offload has that @ nodes.h.offload"),
        ({"mode": "group", "blocks_per_group": 2}, "offload: blocks_per_group is of level block @ nodes.h.offload"),
        ({"mode": "group", "record_stream": True}, "offload: record_stream only with stream @ nodes.h.offload"),
        (GROUP | {"blocks_per_group": 0}, "blocks_per_group: at least 1 @ nodes.h.offload.blocks_per_group"),
        (GROUP | {"stream": True}, "with stream, blocks come one by one: blocks_per_group is 1 @ nodes.h.offload"),
        ({"mode": "group", "stream": True, "low_cpu_mem": True, "disk": "x"}, "low_cpu_mem is for groups that wait"),
        ({"mode": "group", "disk": ""}, "disk: must not be empty @ nodes.h.offload.disk"),
    ],
)
def test_what_would_be_ignored_or_misread_is_a_fault(written: Any, said: str) -> None:
    """Beside the other faults of the graph, at its place."""
    found = faults(h=heavy(written), s=node("Start", value=5000))
    assert [fault.node for fault in found] == ["h", "s"]
    assert said in str(found[0])


def test_a_node_that_computes_on_no_device_has_nothing_to_offload() -> None:
    assert [str(fault) for fault in faults(s=node("Start") | {"offload": "none"}, h=heavy())] == [
        "offload: Start computes on no device, so nothing of it can leave one @ nodes.s.offload (take it away)"
    ]


def test_what_a_device_cannot_do_is_found_by_the_plan() -> None:
    """All nodes' faults together, with the placement faults, each with what to try."""
    stream = {"mode": "group", "stream": True}
    found = faults(
        m=heavy("model", "cpu"),
        s=heavy(stream, "cpu"),
        ok=heavy(stream),
        far=heavy("model", "cuda:7"),
        a=heavy("group"),
    )
    assert [str(fault) for fault in found] == [
        "offload.mode: on a CPU, the weights of a model are in RAM already @ nodes.m.offload.mode "
        "(use none, or group with disk)",
        "offload.stream: cpu cannot copy while it computes @ nodes.s.offload.stream (leave stream out)",
        "device: this machine has no cuda:7 @ nodes.far.device (it has cpu, cuda:0, cuda:1)",
    ]


def test_no_apple_gpu_has_streams() -> None:
    assert [name for name, _, _ in Offload(mode="group", stream=True).problems("mps")] == ["stream"]
    assert not list(Offload(mode="model").problems("mps"))


def test_groups_are_read_from_disk_to_the_first_device_or_with_a_stream() -> None:
    """Diffusers names only the kind of the device where it reads without a stream."""
    plain, stream = Offload(mode="group", disk="x"), Offload(mode="group", disk="x", stream=True)
    assert [name for name, _, _ in plain.problems("cuda:1")] == ["disk"]
    assert not [*plain.problems("cuda:0"), *plain.problems("cpu"), *plain.problems("mps"), *stream.problems("cuda:1")]


def test_the_plan_holds_a_policy_for_every_step() -> None:
    """``auto`` is decided by then."""
    steps = {step.node.id: step.offload for step in plan(a=heavy(), m=heavy("model"), s=node("Start")).steps}
    assert steps == {"a": NONE, "m": Offload(mode="model"), "s": NONE}


def test_a_policy_is_no_part_of_a_key() -> None:
    """Bits are the same, so results are shared."""
    keys = {tuple(node_keys(plan(h=heavy(one)).graph.nodes)) for one in ("auto", "none", "model", GROUP)}
    assert len(keys) == 1


def test_the_inner_nodes_take_the_outer_policy() -> None:
    """Those that compute and say nothing, through graphs in graphs; and the flat document says it of them."""
    inner = {"type": "Graph", "settings": {"graph": "inner"}, "offload": "group", "device": "cuda:0"}
    made = plan(day=inner)
    assert {step.node.id: str(step.offload) for step in made.steps} == {
        "day/s": "none",
        "day/h": "group (leaf)",
        "day/g": "none",
    }
    flat = flat_document(made.graph)
    assert {name: one.offload for name, one in flat.nodes.items()} == {
        "day-s": AUTO,
        "day-h": Offload(mode="group"),
        "day-g": NONE,
    }
    assert parse(json.loads(flat.to_json()))[0] == flat


def test_a_script_says_it_beside_the_device() -> None:
    """A mode's name, or a policy."""
    composed = Graph("test")
    composed.add(Heavy(), id="m", device="cuda:0", offload="model")
    composed.add(Heavy(), id="g", device="cuda:0", offload=Offload.model_validate(GROUP))
    composed.add(Heavy(), id="a")
    written = graph({"m": heavy("model"), "g": heavy(GROUP), "a": node("Heavy")})
    assert composed.document() == Document.model_validate(written)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (AUTO, "auto"),
        (Offload(mode="group", disk="x"), "group (leaf, disk)"),
        (Offload.model_validate(GROUP), "group (2 block(s))"),
        (
            Offload(mode="group", level="block", stream=True, record_stream=True),
            "group (1 block(s), stream, record_stream)",
        ),
    ],
)
def test_a_policy_in_a_few_words(policy: Offload, said: str) -> None:
    assert str(policy) == said
