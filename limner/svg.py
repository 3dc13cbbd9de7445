"""A graph as a picture of its own: an SVG without scripts, in the light or the dark as the reader has it."""

from __future__ import annotations

import colorsys
import re
import textwrap
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from limner.drawing import Card, Drawing, Edge
from limner.layout import Layout, layout_of
from limner.terminal import printable

_WIDTH: Final = 232.0
"""Of a node."""
_BETWEEN: Final = 84.0
"""Between two layers, where wires bend."""
_MARGIN, _TITLE, _HEADER, _ROW, _LINE = 28.0, 46.0, 44.0, 20.0, 15.0
_COLUMNS: Final = 32
"""Characters in a line of settings."""
_MAX_LINES: Final = 4

_HUES: Final = {
    "TextEncoder": 42,
    "Transformer": 262,
    "VAE": 350,
    "Conditioning": 24,
    "Latent": 312,
    "Image": 206,
    "References": 168,
    "ReferenceLatents": 186,
    "Table": 60,
    "str": 96,
    "int": 132,
    "float": 150,
}
_NO_FILL: Final = ".wire{fill:none}"
_STYLE: Final = """\
svg{font-family:system-ui,sans-serif;font-size:12px}
.back{fill:#f7f7f5}.card{fill:#fff;stroke:#d4d4d0}.rule{stroke:#e6e6e2}
.name{font-size:13px;font-weight:600;fill:#1c1c1a}.head{font-size:17px;font-weight:600;fill:#1c1c1a}
.type,.port,.about{fill:#6b6b66}.key{fill:#8a8a84}.value{fill:#1c1c1a}
.key,.value{font-family:monospace;font-size:11px}
.wire{stroke-width:2}
@media (prefers-color-scheme:dark){
.back{fill:#1b1b1d}.card{fill:#27272a;stroke:#3f3f45}.rule{stroke:#37373c}
.name,.head,.value{fill:#ececea}.type,.port,.about{fill:#a6a6a0}.key{fill:#85857f}
"""


def svg_of(drawing: Drawing) -> str:
    """The picture as text."""
    layout = layout_of(drawing, lambda name: _height(drawing.cards[name]), lambda wire: _ends(drawing, wire))
    layers = max(layout.layer.values(), default=0) + 1
    width = 2 * _MARGIN + layers * _WIDTH + (layers - 1) * _BETWEEN
    height = 2 * _MARGIN + _TITLE + layout.height
    size = {"width": _number(width), "height": _number(height), "viewBox": f"0 0 {_number(width)} {_number(height)}"}
    labels = {"role": "img", "aria-labelledby": "graph-name graph-about"}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **labels})
    _add(root, "title", drawing.name, id="graph-name")
    _add(root, "desc", _about(drawing), id="graph-about")
    kinds = _Kinds()
    style = SubElement(root, "style")
    _add(root, "rect", width="100%", height="100%", rx="12", **{"class": "back"})
    _add(root, "text", _fit(drawing.name, int(width / 10)), x=_number(_MARGIN), y="40", **{"class": "head"})
    about = _fit(drawing.description, int(width / 6.5))
    _add(root, "text", about, x=_number(_MARGIN), y="59", **{"class": "about"})
    for number, wire in enumerate(drawing.edges):
        _draw_wire(root, drawing, layout, number, wire, kinds)
    for name, card in drawing.cards.items():
        place = f"translate({_number(_x(layout.layer[name]))} {_number(_y(layout, name))})"
        _draw_card(SubElement(root, "g", transform=place), card, kinds)
    style.text = kinds.style()
    return tostring(root, encoding="unicode") + "\n"


class _Kinds:
    """A colour for each type of wire that is drawn."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, kind: str) -> str:
        """The class of a type."""
        return self._names.setdefault(kind, f"t{len(self._names)}")

    def style(self) -> str:
        """All rules: those for the dark are inside the query that ends them."""
        light, dark = (
            "".join(f".{name}{{fill:{colour};stroke:{colour}}}" for name, colour in self._colours(lightness))
            for lightness in (0.52, 0.62)
        )
        before, query, after = _STYLE.partition("@media")
        return f"{before}{light}{_NO_FILL}\n{query}{after}{dark}{_NO_FILL}}}"

    def _colours(self, lightness: float) -> Iterator[tuple[str, str]]:
        return ((name, _colour(kind, lightness)) for kind, name in self._names.items())


def _colour(kind: str, lightness: float) -> str:
    if not kind:
        return "#8a8a84"
    hue = _HUES.get(kind, zlib.crc32(kind.encode()) % 360)
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness, 0.62)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _about(drawing: Drawing) -> str:
    nodes = ", ".join(f"{card.id} ({card.type})" for card in list(drawing.cards.values())[:50])
    more = f" and {len(drawing.cards) - 50} more" if len(drawing.cards) > 50 else ""
    head = f"{drawing.description} " if drawing.description else ""
    return f"{head}{len(drawing.cards)} nodes: {nodes}{more}."


def _draw_wire(root: Element, drawing: Drawing, layout: Layout, number: int, wire: Edge, kinds: _Kinds) -> None:
    begin, end = _ends(drawing, wire)
    x, y = _x(layout.layer[wire.source]) + _WIDTH, _y(layout, wire.source) + begin
    path = f"M{_number(x)} {_number(y)}"
    for layer, height in layout.passes[number]:
        path += _bend(x, y, _x(layer), _MARGIN + _TITLE + height)
        x, y = _x(layer) + _WIDTH, _MARGIN + _TITLE + height
        path += f"H{_number(x)}"
    path += _bend(x, y, _x(layout.layer[wire.target]), _y(layout, wire.target) + end)
    line = _add(root, "path", d=path, **{"class": f"wire {kinds.of(wire.type)}"})
    source, target = drawing.cards[wire.source], drawing.cards[wire.target]
    output = f".{source.outputs[wire.output].name}" if source.outputs else ""
    _add(line, "title", f"{wire.source}{output} → {wire.target}.{target.inputs[wire.input].name}")


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (x + to_x) / 2
    points = (half, y, half, to_y, to_x, to_y)
    return "C" + " ".join(_number(point) for point in points)


def _draw_card(group: Element, card: Card, kinds: _Kinds) -> None:
    _add(group, "title", f"{card.id}: {card.type}" + "".join(f"\n{name}: {value}" for name, value in card.settings))
    height = _number(_height(card))
    _add(group, "rect", width=_number(_WIDTH), height=height, rx="9", **{"class": "card"})
    _add(group, "text", _fit(card.id, 26), x="14", y="20", **{"class": "name"})
    _add(group, "text", _fit(card.type, 30), x="14", y="35", **{"class": "type"})
    sides = ((card.inputs, card.outputs, 0.0, 14.0, "start"), (card.outputs, card.inputs, _WIDTH, _WIDTH - 14, "end"))
    for ports, opposite, x, text_x, anchor in sides:
        for number, port in enumerate(ports):
            other = _columns(opposite[number].name) if number < len(opposite) else 0
            y = _port_y(number)
            dot = _add(group, "circle", cx=_number(x), cy=_number(y), r="5", **{"class": kinds.of(port.type)})
            _add(dot, "title", port.type or "of a type that is not known")
            place = {"x": _number(text_x), "y": _number(y + 4), "text-anchor": anchor, "class": "port"}
            _add(group, "text", _fit(port.name, max(15, 30 - other)), **place)
    y = _HEADER + _ROW * _rows(card)
    if card.settings:
        _add(group, "path", d=f"M14 {_number(y + 2)}H{_number(_WIDTH - 14)}", **{"class": "rule"})
    for name, lines in _setting_lines(card):
        for line in lines:
            y += _LINE
            text = _add(group, "text", x="14", y=_number(y + 4), **{"xml:space": "preserve"})
            if line is lines[0] and name:
                _add(text, "tspan", name, **{"class": "key"})
            _add(text, "tspan", line, **{"class": "value"})


def _setting_lines(card: Card) -> Iterator[tuple[str, Sequence[str]]]:
    """Each setting: its name, and its value in lines; what is too long for one line begins below the name."""
    for name, value in card.settings:
        name, value = _fit(name, 20), _clean(value)
        if _columns(name) + 1 + _columns(value) <= _COLUMNS:
            yield name, (f" {value}",)
            continue
        lines = textwrap.wrap(value, _COLUMNS) or [value]
        if any(_columns(line) > _COLUMNS for line in lines):  # characters that are two columns wide
            lines = textwrap.wrap(value, _COLUMNS // 2)
        if len(lines) > _MAX_LINES:
            lines = [*lines[: _MAX_LINES - 1], _fit(lines[_MAX_LINES - 1] + "…" * _COLUMNS, _COLUMNS)]
        yield name, ("", *lines)


def _rows(card: Card) -> int:
    return max(len(card.inputs), len(card.outputs))


def _height(card: Card) -> float:
    lines = sum(len(lines) for _, lines in _setting_lines(card))
    return _HEADER + _ROW * _rows(card) + (_LINE * lines + 14 if lines else 4)


def _port_y(number: int) -> float:
    return _HEADER + _ROW * number + _ROW / 2 - 2


def _ends(drawing: Drawing, wire: Edge) -> tuple[float, float]:
    has_port = bool(drawing.cards[wire.source].outputs)
    return _port_y(wire.output) if has_port else _HEADER / 2, _port_y(wire.input)


def _x(layer: int) -> float:
    return _MARGIN + layer * (_WIDTH + _BETWEEN)


def _y(layout: Layout, name: str) -> float:
    return _MARGIN + _TITLE + layout.y[name]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _add(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = _clean(text) or None
    return element


def _clean(text: str) -> str:
    """A text of others: what XML has no form for, or what turns the direction of writing, is an escape."""
    return _NO_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), printable(text))


_NO_XML: Final = re.compile("[\ufffe\uffff]")


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _fit(text: str, columns: int) -> str:
    """A text in one line of so many columns."""
    text = " ".join(_clean(text).split())
    if _columns(text) <= columns:
        return text
    while _columns(text) > columns - 1:
        text = text[: max(columns - 1, 1)] if len(text) > columns else text[:-1]
    return f"{text}…"
