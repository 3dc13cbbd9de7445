"""``limner templates``: the graphs that have a name, with what is wrong with those that are broken."""

from __future__ import annotations

from typing import Any

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.expand import targets_of
from limner.engine.parameters import Parameter, describe
from limner.folders import graphs_folder
from limner.graphs.library import Template
from limner.options import DebugOption, JsonOption
from limner.request import faults_as_data
from limner.session import Session
from limner.tables import ListedTemplate, templates_table
from limner.terminal import err, friendly, out, show


@friendly
def templates(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the templates: graphs with parameters, ready to run; those of Limner and your own."""
    session = Session()
    found = [_look_at(template, session) for template in session.library.templates()]
    if as_json:
        out.print_json(data=[_as_data(one) for one in found])
        return
    show(templates_table(found))
    if any(one.template.is_own for one in found):
        err.print(f"yours are in {graphs_folder()}", style="dim", markup=False)
    else:
        err.print("one of your own: limner new NAME --from TEMPLATE", style="dim")


def _look_at(template: Template, session: Session) -> ListedTemplate:
    place = str(template.path)
    try:
        document = session.document(place)
    except LimnerError as error:
        faults = error.faults if isinstance(error, GraphError) else (Fault(error.message, (), error.hint),)
        return ListedTemplate(template, "", [], faults)
    parameters = describe(document, session.registry, session.library.beside(place))
    return ListedTemplate(template, document.description, parameters, _faults(document, place, session))


def _faults(document: Document, place: str, session: Session) -> tuple[Fault, ...]:
    """What is wrong with a template, but for what its parameters are there to give."""
    try:
        session.check(document, beside=place)
    except GraphError as error:
        given = {target for parameter in document.parameters.values() for target in targets_of(parameter)}
        return tuple(fault for fault in error.faults if _setting(fault) not in given)
    return ()


def _setting(fault: Fault) -> str | None:
    """The setting or wire that a fault is about, as ``node.setting``."""
    return f"{fault.node}.{fault.path[3]}" if fault.node is not None and len(fault.path) > 3 else None


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
