"""What a document keeps of a canvas besides its graph, in ``layout``: places, sizes, titles, colours, groups, notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from limner.comfy.workflow import GroupBox, WorkflowNode, is_number

PER_NODE: Final = ("positions", "sizes", "titles", "looks")
"""The parts of a layout that are by node."""
KNOWN: Final = frozenset({*PER_NODE, "groups", "notes", "ids"})
"""What a canvas has a place for. Everything else in a layout is carried along."""
NOTE: Final = "MarkdownNote"
_NOTE_SIZE: Final = (320, 160)
_GROWN: Final = 60
_LOOKS: Final = ("color", "bgcolor", "collapsed")
_OWN_LOOKS: Final = {"color": "#432", "bgcolor": "#653"}
"""Of notes, which the editor gives them."""
_GROUP_COLOR: Final = "#3f789e"


@dataclass(frozen=True)
class Layout:
    """A layout, read with care: what is not as it should be is passed over."""

    raw: Mapping[str, Any]

    def places(self, names: Iterable[str]) -> dict[str, list[float]]:
        """Where nodes stand, of those where it is known."""
        return self._per_node("positions", names, lambda one: _is_numbers(one, 2))

    def sizes(self, names: Iterable[str]) -> dict[str, list[float]]:
        """How large nodes were drawn."""
        return self._per_node("sizes", names, lambda one: _is_numbers(one, 2) and min(one) > 0)

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
        return str(self._per_node("ids", [name], lambda one: isinstance(one, str)).get(name, name))

    def groups(self) -> list[dict[str, Any]]:
        """The frames around nodes, as a workflow has them."""
        read = (GroupBox.of(one) for one in _list(self.raw.get("groups")))
        found = [one for one in read if one is not None]
        return [{"id": number, **_drawn_group(one)} for number, one in enumerate(found, start=1)]

    def notes(self, number: int) -> list[dict[str, Any]]:
        """The notes as nodes of a workflow, from a number on."""
        sound = [one for one in _list(self.raw.get("notes")) if _is_note(one)]
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
        "color": group.color or _GROUP_COLOR,
        "font_size": 24,
        "flags": {},
    }


def _is_note(raw: Any) -> bool:
    return isinstance(raw, dict) and isinstance(raw.get("text"), str) and _is_numbers(raw.get("position"), 2)


def _drawn_note(raw: Mapping[str, Any], number: int) -> dict[str, Any]:
    size = raw.get("size")
    looks = {name: raw[name] for name in ("title", "color", "bgcolor") if isinstance(raw.get(name), str)}
    return {
        "id": number,
        "type": "Note" if raw.get("plain") is True else NOTE,
        "pos": list(raw["position"]),
        "size": list(size) if _is_numbers(size, 2) else list(_NOTE_SIZE),
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [raw["text"]],
        **_OWN_LOOKS,
        **looks,
    }


@dataclass(frozen=True)
class Before:
    """What a canvas was opened with: numbers that it only rounded are given back as they were."""

    layout: Mapping[str, Any]
    drawn: Mapping[str, Any]
    """The sizes that nodes were given."""

    def place(self, name: str, place: Sequence[float]) -> list[float]:
        """Where a node stands."""
        return _as_before(place, _get(self.layout.get("positions"), name))

    def size(self, name: str, size: Sequence[float] | None) -> list[float] | None:
        """How large somebody made a node; None where it is as it was drawn of itself."""
        given = _get(self.layout.get("sizes"), name)
        if size is None or _is_as_drawn(size, _get(self.drawn, name)):
            return list(given) if _is_numbers(given, 2) else None
        return _as_before(size, given)

    def groups(self, groups: Sequence[GroupBox]) -> list[dict[str, Any]]:
        """The frames around nodes."""
        return _listed([_kept_group(one) for one in groups], self.layout.get("groups"), _same_group)

    def notes(self, notes: Sequence[WorkflowNode]) -> list[dict[str, Any]]:
        """The notes."""
        return _listed([_kept_note(one) for one in notes], self.layout.get("notes"), _same_note)

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
    color = {"color": group.color} if group.color not in ("", _GROUP_COLOR) else {}
    return {"title": group.title, "bounding": [round(one, 1) for one in group.bounding]} | color


def _kept_note(node: WorkflowNode) -> dict[str, Any]:
    text = node.values[0] if isinstance(node.values, list) and node.values else ""
    size = node.size or _NOTE_SIZE
    out: dict[str, Any] = {"text": text if isinstance(text, str) else "", "position": _rounded(node.position)}
    out["size"] = _rounded(size)
    if node.type != NOTE:
        out["plain"] = True
    if node.title not in ("", "Note", "Markdown Note"):
        out["title"] = node.title
    return out | {name: one for name, one in node.looks.items() if one != _OWN_LOOKS.get(name) and name in _OWN_LOOKS}


def _in_order(now: Any, before: Any) -> Any:
    if not isinstance(now, dict) or not isinstance(before, dict):
        return now
    known = {name: before[name] if before[name] == now[name] else now[name] for name in before if name in now}
    return known | {name: one for name, one in now.items() if name not in known}


def _listed(
    now: list[dict[str, Any]], before: Any, is_same: Callable[[Mapping[str, Any], Any], bool]
) -> list[dict[str, Any]]:
    """Each as it was written before, where it is the same."""
    known = _list(before)
    return [next((one for one in known if is_same(each, one)), each) for each in now]


def _same_group(now: Mapping[str, Any], before: Any) -> bool:
    found = GroupBox.of(before)
    if found is None:
        return False
    kept = _kept_group(found)
    return kept | {"bounding": now["bounding"]} == now and _is_near(now["bounding"], found.bounding)


def _same_note(now: Mapping[str, Any], before: Any) -> bool:
    if not _is_note(before):
        return False
    size = before.get("size") if _is_numbers(before.get("size"), 2) else _NOTE_SIZE
    plain = {name: one for name, one in before.items() if one != _OWN_LOOKS.get(name) or name not in _OWN_LOOKS}
    is_alike = plain | {"position": now["position"], "size": now["size"]} == now
    return is_alike and _is_near(now["position"], before["position"]) and _is_near(now["size"], size)


def _as_before(now: Sequence[float], before: Any) -> list[float]:
    return list(before) if _is_numbers(before, len(now)) and _is_near(now, before) else _rounded(now)


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [round(one, 1) for one in numbers]


def _is_near(now: Sequence[float], before: Any) -> bool:
    """Whether numbers are the same but for what an editor makes of them, which keeps them in four bytes."""
    if not _is_numbers(before, len(now)):
        return False
    return all(abs(one - other) <= max(0.06, 1e-6 * abs(other)) for one, other in zip(now, before, strict=True))


def _is_as_drawn(now: Sequence[float], drawn: Any) -> bool:
    """Whether nobody changed a size: the newer rendering makes some nodes a little taller by itself."""
    if not _is_numbers(drawn, 2):
        return False
    return _is_near(now[:1], drawn[:1]) and -1 < now[1] - drawn[1] <= _GROWN


def _is_numbers(raw: Any, count: int) -> TypeGuard[Sequence[float]]:
    return isinstance(raw, (list, tuple)) and len(raw) == count and all(map(is_number, raw))


def _get(raw: Any, name: str) -> Any:
    return raw.get(name) if isinstance(raw, dict) else None


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []
