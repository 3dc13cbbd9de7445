"""Devices and offload policies as inputs of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limner.comfy.placement import POLICIES, devices, read_offload, show_offload
from limner.engine.document import NodeDocument
from limner.engine.offload import Offload


def read(text: Any) -> Offload:
    return NodeDocument(type="Denoise", offload=read_offload(text)).offload


@pytest.mark.parametrize("text", POLICIES)
def test_what_is_offered_is_a_policy(text: str) -> None:
    """Every choice can be read, and is shown as it was chosen."""
    assert show_offload(read(text)) == text


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("group", Offload(mode="group")),
        ("group block 4", Offload(mode="group", level="block", blocks_per_group=4)),
        ("group leaf stream record_stream", Offload(mode="group", stream=True, record_stream=True)),
        ('{"mode": "group", "disk": "/tmp/x"}', Offload(mode="group", disk="/tmp/x")),
    ],
)
def test_policies_can_be_said_in_words_or_json(text: str, policy: Offload) -> None:
    """Words for what is common, the JSON of a graph file for all else."""
    assert read(text) == policy


SWITCHES = st.sampled_from(
    [{}, {"stream": True}, {"stream": True, "record_stream": True}, {"stream": True, "low_cpu_mem": True}]
)
LEAVES = SWITCHES.map(lambda switches: Offload(mode="group", **switches))
BLOCKS = SWITCHES.map(lambda switches: Offload(mode="group", level="block", **switches))
SOME_BLOCKS = st.integers(1, 1000).map(lambda count: Offload(mode="group", level="block", blocks_per_group=count))
ON_DISK = st.text(min_size=1, max_size=5).map(lambda disk: Offload(mode="group", disk=disk))
WHOLE = st.sampled_from([Offload(mode="auto"), Offload(mode="none"), Offload(mode="model")])


@given(LEAVES | BLOCKS | SOME_BLOCKS | ON_DISK | WHOLE)
def test_every_policy_comes_back(policy: Offload) -> None:
    """Whatever a graph file can say."""
    assert read(show_offload(policy)) == policy


@pytest.mark.parametrize("text", ["", "gruop", "group leef", "{", "group -1", 7, ["group"], "group " + "9" * 5000])
def test_what_is_no_policy_is_left_to_the_check(text: Any) -> None:
    """It is neither repaired nor a crash."""
    with pytest.raises(ValidationError):
        read(text)


def test_devices_begin_with_the_plans_own() -> None:
    """And a processor is always there."""
    assert devices(["cuda:0", "cpu"]) == ["auto", "cuda:0", "cpu"]
    assert devices([]) == ["auto", "cpu"]
