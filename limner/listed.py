"""Templates as lists show them: what they take, and what is wrong with those that are broken."""

from __future__ import annotations

from dataclasses import dataclass

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.expand import targets_of
from limner.engine.parameters import Parameter, describe
from limner.graphs.library import Template
from limner.session import Session


@dataclass(frozen=True, slots=True)
class ListedTemplate:
    """A template as lists show it."""

    template: Template
    description: str
    parameters: list[Parameter]
    faults: tuple[Fault, ...]
    """Why it is broken; none where it can run."""


def look_at(template: Template, session: Session) -> ListedTemplate:
    """What there is to say of a template; a broken one says why."""
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
