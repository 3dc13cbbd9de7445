"""What a document keeps of a canvas besides its graph, in ``layout``, as a workflow has it: places, sizes, titles,
colours, groups, notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from limner.comfy.foreign_json import is_number, list_of
from limner.comfy.names import is_id
from limner.comfy.workflow import GroupBox

PER_NODE: Final = ("positions", "sizes", "titles", "looks")
"""The parts of a layout that are by node."""
KNOWN: Final = frozenset({*PER_NODE, "groups", "notes", "ids"})
"""What a canvas has a place for. Everything else in a layout is carried along."""
NOTE: Final = "MarkdownNote"
NOTE_SIZE: Final = (320, 160)
NOTE_LOOKS: Final = {"color": "#432", "bgcolor": "#653"}
"""Of notes, which the editor gives them."""
GROUP_COLOR: Final = "#3f789e"


@dataclass(frozen=True)
class Layout:
    """A layout, read with care: what is not as it should be is passed over."""

    raw: Mapping[str, Any]

    def places(self, names: Iterable[str]) -> dict[str, list[float]]:
        """Where nodes stand, of those where it is known."""
        return self._per_node("positions", names, lambda one: is_numbers(one, 2))

    def sizes(self, names: Iterable[str]) -> dict[str, list[float]]:
        """How large nodes were drawn."""
        return self._per_node("sizes", names, lambda one: is_numbers(one, 2) and min(one) > 0)

    def titles(self) -> dict[str, str]:
        """What nodes are called, where it is not their type."""
        return self._per_node("titles", None, lambda one: isinstance(one, str) and one != "")

    def looks(self, name: str) -> dict[str, Any]:
        """How a node looks, in the words of workflows."""
        found = self._per_node("looks", [name], lambda one: isinstance(one, dict)).get(name, {})
        colors = {key: found[key] for key in ("color", "bgcolor") if isinstance(found.get(key), str)}
        return colors | ({"flags": {"collapsed": True}} if found.get("collapsed") is True else {})

    def own_id(self, name: str) -> str:
        """What the file calls the node that this graph came from."""
        return str(self._per_node("ids", [name], lambda one: isinstance(one, str) and is_id(one)).get(name, name))

    def groups(self) -> list[dict[str, Any]]:
        """The frames around nodes, as a workflow has them."""
        read = (GroupBox.of(one) for one in list_of(self.raw.get("groups")))
        found = [one for one in read if one is not None]
        return [{"id": number, **_drawn_group(one)} for number, one in enumerate(found, start=1)]

    def notes(self, number: int) -> list[dict[str, Any]]:
        """The notes as nodes of a workflow, from a number on."""
        sound = [one for one in list_of(self.raw.get("notes")) if is_note(one)]
        return [_drawn_note(one, number + index) for index, one in enumerate(sound)]

    def _per_node(self, part: str, names: Iterable[str] | None, is_sound: Callable[[Any], bool]) -> dict[str, Any]:
        known = self.raw.get(part)
        if not isinstance(known, dict):
            return {}
        return {name: known[name] for name in (known if names is None else names) if is_sound(known.get(name))}


def _drawn_group(group: GroupBox) -> dict[str, Any]:
    return {
        "title": group.title,
        "bounding": list(group.bounding),
        "color": group.color or GROUP_COLOR,
        "font_size": 24,
        "flags": {},
    }


def is_note(raw: Any) -> bool:
    """Whether it is a note as a layout has it."""
    return isinstance(raw, dict) and isinstance(raw.get("text"), str) and is_numbers(raw.get("position"), 2)


def _drawn_note(raw: Mapping[str, Any], number: int) -> dict[str, Any]:
    size = raw.get("size")
    looks = {name: raw[name] for name in ("title", "color", "bgcolor") if isinstance(raw.get(name), str)}
    return {
        "id": number,
        "type": "Note" if raw.get("plain") is True else NOTE,
        "pos": list(raw["position"]),
        "size": list(size) if is_numbers(size, 2) else list(NOTE_SIZE),
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [raw["text"]],
        **NOTE_LOOKS,
        **looks,
    }


def is_numbers(raw: Any, count: int) -> TypeGuard[Sequence[float]]:
    """Whether it is so many numbers, each of which can be a place on a canvas."""
    return isinstance(raw, (list, tuple)) and len(raw) == count and all(map(is_number, raw))
