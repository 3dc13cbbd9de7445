"""``limner templates``: the graphs that have a name, with what is wrong with those that are broken."""

from __future__ import annotations

from typing import Any

from limner.engine.errors import GraphError
from limner.engine.parameters import Parameter
from limner.folders import graphs_folder
from limner.listed import ListedTemplate, look_at
from limner.options import DebugOption, JsonOption
from limner.request import faults_as_data
from limner.session import Session
from limner.tables import templates_table
from limner.terminal import err, friendly, out, show


@friendly
def templates(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the templates: graphs with parameters, ready to run; those of Limner and your own."""
    session = Session()
    found = [look_at(template, session) for template in session.library.templates()]
    if as_json:
        out.print_json(data=[_as_data(one) for one in found])
        return
    show(templates_table(found))
    if any(one.template.is_own for one in found):
        err.print(f"yours are in {graphs_folder()}", style="dim")
    else:
        err.print("one of your own: limner new NAME --from TEMPLATE", style="dim")


def _as_data(one: ListedTemplate) -> dict[str, Any]:
    template = one.template
    return {
        "name": template.name,
        "description": one.description,
        "from": "yours" if template.is_own else "built-in",
        "path": str(template.path),
        "hides_builtin": template.hides_builtin,
        "parameters": {parameter.name: _schema(parameter) for parameter in one.parameters},
        "faults": faults_as_data(GraphError(one.faults)),
    }


def _schema(parameter: Parameter) -> dict[str, Any]:
    return {**parameter.schema, "default": parameter.default}
