"""Tables for the terminal: templates, nodes, plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from limner.engine.node import NodeType
from limner.engine.parameters import Parameter
from limner.engine.plan import Plan


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    return table


def templates_table(templates: Iterable[tuple[str, str, list[Parameter]]]) -> RenderableType:
    """Names, what they do, and the parameters with their defaults."""
    table = _table("template", "what it does", "parameters")
    for name, description, parameters in templates:
        table.add_row(Text(name, style="cyan"), description, ", ".join(p.name for p in parameters))
    return table


def nodes_table(types: Iterable[NodeType]) -> RenderableType:
    """Every node by category, with what it takes and gives."""
    table = _table("node", "takes", "gives", "what it does")
    for node in sorted(types, key=lambda t: (t.cls.category, t.name)):
        takes = ", ".join(f"{p.name}?" if p.is_optional else p.name for p in node.inputs.values())
        gives = ", ".join(p.name for p in node.outputs)
        table.add_row(Text(node.name, style="cyan"), takes, gives, node.summary)
    return table


def node_page(node: NodeType) -> RenderableType:
    """One node: its description, inputs, outputs and settings."""
    import inspect

    wires = _table("input", "type", "")
    for port in node.inputs.values():
        wires.add_row(Text(port.name, style="cyan"), port.label, "optional" if port.is_optional else "")
    outputs = _table("output", "type")
    for port in node.outputs:
        outputs.add_row(Text(port.name, style="cyan"), port.label)
    settings = _table("setting", "type", "default", "")
    for name, schema in node.settings_schema.get("properties", {}).items():
        default = "required" if "default" not in schema else str(schema["default"])
        settings.add_row(Text(name, style="cyan"), kind_of(schema), default, schema.get("description", ""))
    parts: list[RenderableType] = [Text(node.name, style="bold"), inspect.getdoc(node.cls) or "", ""]
    for table in (wires, outputs, settings):
        if table.row_count:
            parts += [table, ""]
    return Group(*parts[:-1])


def kind_of(schema: Mapping[str, Any]) -> str:
    """A setting's type and range in a few words: ``integer 1..1000 or null``."""
    kinds = []
    for option in schema.get("anyOf", [schema]):
        kind = "|".join(map(str, option["enum"])) if "enum" in option else str(option.get("type", "value"))
        low = option.get("minimum", option.get("exclusiveMinimum"))
        high = option.get("maximum", option.get("exclusiveMaximum"))
        if low is not None or high is not None:
            kind += f" {'' if low is None else low}..{'' if high is None else high}"
        kinds.append(kind)
    return " or ".join(kinds)


def plan_table(plan: Plan) -> RenderableType:
    """Every node in order: where it runs, what it waits for, and what memory can forget after it."""
    table = _table("node", "type", "runs on", "waits for", "last to use")
    name = [step.node.id for step in plan.steps]
    for step in plan.steps:
        waits = ", ".join(name[source] for source in step.needs)
        frees = ", ".join(name[source] for source in step.frees)
        table.add_row(Text(step.node.id, style="cyan"), step.node.type.name, step.lane, waits, frees)
    return table
