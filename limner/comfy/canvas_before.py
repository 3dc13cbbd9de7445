"""What an editor says of a canvas, as a ``layout`` keeps it: written as before, where only rounding changed it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.canvas_layout import (
    GROUP_COLOR,
    KNOWN,
    NOTE,
    NOTE_LOOKS,
    NOTE_SIZE,
    is_note,
    is_numbers,
)
from limner.comfy.foreign_json import dict_of, list_of
from limner.comfy.workflow import GroupBox, WorkflowNode

_GROWN: Final = 60
_LOOKS: Final = ("color", "bgcolor", "collapsed")
_Key = tuple[str, tuple[float, ...]]


@dataclass(frozen=True)
class Before:
    """What a canvas was opened with: numbers that it only rounded are given back as they were."""

    layout: Mapping[str, Any]
    drawn: Mapping[str, Any]
    """The sizes that nodes were given."""

    def place(self, name: str, place: Sequence[float]) -> list[float]:
        """Where a node stands."""
        return _as_before(place, dict_of(self.layout.get("positions")).get(name))

    def size(self, name: str, size: Sequence[float] | None) -> list[float] | None:
        """How large somebody made a node; None where it is as it was drawn of itself."""
        given = dict_of(self.layout.get("sizes")).get(name)
        if size is None or _is_as_drawn(size, dict_of(self.drawn).get(name)):
            return list(given) if is_numbers(given, 2) else None
        return _as_before(size, given)

    def groups(self, groups: Sequence[GroupBox]) -> list[dict[str, Any]]:
        """The frames around nodes."""
        known = list_of(self.layout.get("groups"))
        read = ((one, GroupBox.of(one)) for one in reversed(known))  # of two that are the same, the first counts
        before = {key: one for one, group in read if group is not None for key in _group_keys(group)}
        return _again(((_kept_group(one), _group_keys(one)[0]) for one in groups), before)

    def notes(self, notes: Sequence[WorkflowNode]) -> list[dict[str, Any]]:
        """The notes."""
        known = reversed(list_of(self.layout.get("notes")))
        before = {key: one for one in known if is_note(one) for key in _note_keys(one)}
        now = map(_kept_note, notes)
        return _again(((one, _note_keys(one)[0]) for one in now), before)

    def in_order(self, now: Mapping[str, Any]) -> dict[str, Any]:
        """A layout in the order of that before, so that a file differs only where something changed."""
        parts = {name: _in_order(part, self.layout.get(name)) for name, part in now.items()}
        return dict(_in_order(parts, self.layout))

    def rest(self) -> dict[str, Any]:
        """What a canvas has no place for."""
        return {name: part for name, part in self.layout.items() if name not in KNOWN}


def kept_looks(node: WorkflowNode) -> dict[str, Any]:
    """How a node looks, in the words of a layout."""
    return {name: node.looks[name] for name in _LOOKS if node.looks.get(name)}


def _kept_group(group: GroupBox) -> dict[str, Any]:
    color = {"color": group.color} if group.color not in ("", GROUP_COLOR) else {}
    return {"title": group.title, "bounding": _rounded(group.bounding)} | color


def _kept_note(node: WorkflowNode) -> dict[str, Any]:
    text = node.values[0] if isinstance(node.values, list) and node.values else ""
    size = node.size or NOTE_SIZE
    out: dict[str, Any] = {"text": text if isinstance(text, str) else "", "position": _rounded(node.position)}
    out["size"] = _rounded(size)
    if node.type != NOTE:
        out["plain"] = True
    if node.title not in ("", "Note", "Markdown Note"):
        out["title"] = node.title
    return out | {name: one for name, one in node.looks.items() if one != NOTE_LOOKS.get(name) and name in NOTE_LOOKS}


def _in_order(now: Any, before: Any) -> Any:
    if not isinstance(now, dict) or not isinstance(before, dict):
        return now
    known = {name: before[name] if before[name] == now[name] else now[name] for name in before if name in now}
    return known | {name: one for name, one in now.items() if name not in known}


def _again(now: Iterable[tuple[dict[str, Any], _Key]], before: Mapping[_Key, Any]) -> list[dict[str, Any]]:
    """Each as it was written before, where it is the same."""
    return [before.get(key, one) for one, key in now]


def _keys(said: Mapping[str, Any], numbers: Sequence[float]) -> list[_Key]:
    """What something is found again by, as it is and as an editor gives it back that keeps numbers in four bytes.

    A key, for there may be thousands: comparing each with each would take minutes.
    """
    text = json.dumps(said, sort_keys=True)
    form = f"{len(numbers)}f"
    in_four_bytes = struct.unpack(form, struct.pack(form, *numbers))
    return [(text, tuple(_rounded(ones))) for ones in (numbers, in_four_bytes)]


def _group_keys(group: GroupBox) -> list[_Key]:
    return _keys({**_kept_group(group), "bounding": None}, group.bounding)


def _note_keys(note: Mapping[str, Any]) -> list[_Key]:
    """Of a note as a layout has it."""
    said = {name: one for name, one in note.items() if name not in ("position", "size")}
    plain = {name: one for name, one in said.items() if name not in NOTE_LOOKS or one != NOTE_LOOKS[name]}
    size = note.get("size")
    return _keys(plain, [*note["position"], *(size if is_numbers(size, 2) else NOTE_SIZE)])


def _as_before(now: Sequence[float], before: Any) -> list[float]:
    return list(before) if is_numbers(before, len(now)) and _is_near(now, before) else _rounded(now)


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [round(one, 1) for one in numbers]


def _is_near(now: Sequence[float], before: Any) -> bool:
    """Whether numbers are the same but for what an editor makes of them, which keeps them in four bytes."""
    if not is_numbers(before, len(now)):
        return False
    return all(abs(one - other) <= max(0.06, 1e-6 * abs(other)) for one, other in zip(now, before, strict=True))


def _is_as_drawn(now: Sequence[float], drawn: Any) -> bool:
    """Whether nobody changed a size: the newer rendering makes some nodes a little taller by itself."""
    if not is_numbers(drawn, 2):
        return False
    return _is_near(now[:1], drawn[:1]) and -1 < now[1] - drawn[1] <= _GROWN
