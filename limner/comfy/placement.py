"""Device and offload of a node as inputs of the protocol: which there are, and how a policy is said in few words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, get_args

from limner.comfy.settings import NO_JSON, parsed_json
from limner.engine.offload import Level, Mode, Offload

DEVICE: Final = "device"
OFFLOAD: Final = "offload"
DEVICE_TOOLTIP: Final = "Where the node computes. auto: where the plan puts it."
OFFLOAD_TOOLTIP: Final = "What leaves the device while it is not needed. auto: the fastest that fits."
POLICIES: Final = (
    "auto",
    "none",
    "model",
    "group leaf",
    "group leaf stream",
    "group leaf stream low_cpu_mem",
    "group block",
    "group block stream",
)
"""What is offered. Others can be said too: ``group block 4``, or the JSON of a graph file."""
_SWITCHES: Final = ("stream", "record_stream", "low_cpu_mem")


def devices(known: Iterable[str]) -> list[str]:
    """The devices that are offered, of those that the machine has."""
    return list(dict.fromkeys(["auto", *known, "cpu"]))


def show_offload(policy: Offload) -> str:
    """A policy in words: ``group leaf stream``. What words cannot say is JSON."""
    words: list[str] = [policy.mode]
    if policy.mode == "group":
        words.append(policy.level)
        words += [str(policy.blocks_per_group)] if policy.blocks_per_group > 1 else []
        words += [name for name in _SWITCHES if getattr(policy, name)]
    text = " ".join(words)
    return text if _reads_as(text, policy) else json.dumps(policy.model_dump(mode="json", exclude_defaults=True))


def _reads_as(text: str, policy: Offload) -> bool:
    found = read_offload(text)
    return policy == (Offload(mode=found) if isinstance(found, str) else Offload(**found))  # type: ignore[arg-type]  # a mode: the words began with one


def read_offload(shown: Any) -> Any:
    """What a document says for these words; what they are not is passed on, for the check to judge."""
    if not isinstance(shown, str):
        return shown
    if shown.lstrip().startswith("{"):
        found = parsed_json(shown)
        return shown if found is NO_JSON else found
    words = shown.split()
    if not words or words[0] not in get_args(Mode) or len(words) == 1:
        return shown.strip()
    out: dict[str, Any] = {"mode": words[0]}
    for word in words[1:]:
        if word in get_args(Level):
            out["level"] = word
        elif word in _SWITCHES:
            out[word] = True
        elif word.isascii() and word.isdigit() and len(word) < 10:
            out["blocks_per_group"] = int(word)
        else:
            return shown
    return out
