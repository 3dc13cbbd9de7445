"""What the three nodes that name a component have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from limner.engine.errors import InputError
from limner.nodes.comfy.model_files import described, locate_model
from limner.nodes.specs import Component


def name_faults(component: Component, name: str) -> Iterator[str]:
    """Why a name stands for no such component."""
    try:
        yield from locate_model(component, name).faults(component)
    except InputError as error:
        yield described(error)


def fingerprint_of(component: Component, name: str) -> str:
    """What is held by what a name stands for. Raises InputError."""
    return locate_model(component, name).identity(component)


def sources_of(component: Component, name: str) -> Mapping[str, str]:
    """The same for people. Raises InputError."""
    return locate_model(component, name).sources(component)
