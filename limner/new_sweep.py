"""From a graph and the values of its parameters to a sweep, or one report of everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.parameters import with_values
from limner.engine.sweep import MAX_VARIANTS, Axis, axis_faults
from limner.session import GraphLike, Session, default_session
from limner.sweeps import Runner, Sweep
from limner.variants import AtOnce, Variants


def sweep(
    graph: GraphLike,
    over: Mapping[str, Iterable[Any]],
    /,
    *,
    session: Session | None = None,
    seeds_at_once: AtOnce = 1,
    max_variants: int = MAX_VARIANTS,
    **values: Any,
) -> Sweep:
    """Run a graph with every combination of values: ``over`` names parameters, or settings as ``node.setting``.

    Keyword arguments set the other parameters. Nothing runs before it is iterated over, or asked for its table or
    grid; what is wrong with any variant is found here. Raises GraphError with every fault, InputError.
    ``seeds_at_once`` draws seeds that follow each other in one batch: faster, and other in the last bits.

    >>> found = sweep("text_to_image", {"seed": range(1, 9), "guidance": [2, 4]}, steps=8)
    >>> len(found)
    16
    >>> for row in found:  # doctest: +SKIP
    ...     print(row, row.files)
    """
    session = session if session is not None else default_session()
    document = session.document(graph)
    axes, faults = _axes(over)
    beside = graph if isinstance(graph, (str, Path)) else None
    try:
        document = with_values(document, values)
    except GraphError as error:
        faults += error.faults
    return make_sweep(
        session,
        document,
        axes,
        faults=faults,
        given=list(values),
        beside=beside,
        at_once=seeds_at_once,
        most=max_variants,
    )


def _axes(over: Mapping[str, Iterable[Any]]) -> tuple[list[Axis], list[Fault]]:
    axes: list[Axis] = []
    faults: list[Fault] = []
    for name, values in over.items():
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            faults.append(Fault(f"sweep {name}: {values!r} is one value", hint=f"give a list: [{values!r}]"))
        else:
            axes.append(Axis(name, tuple(values)))
    if not over:
        faults.append(Fault("sweep: nothing is swept", hint='for example: {"seed": range(1, 9)}'))
    return axes, faults


def make_sweep(
    session: Session,
    document: Document,
    axes: Sequence[Axis],
    *,
    faults: Iterable[Fault] = (),
    given: Sequence[str] = (),
    beside: str | Path | None = None,
    at_once: AtOnce = 1,
    most: int = MAX_VARIANTS,
    run: Runner | None = None,
) -> Sweep:
    """The sweep over a document's axes, where nothing is wrong with it; ``faults`` are those known already.

    ``given`` are the parameters that are set to one value. Raises GraphError with every fault.
    """
    unknown = {axis.name: _name_faults(document, axis) for axis in axes}
    wrong = [*faults, *(fault for found in unknown.values() for fault in found)]
    wrong += axis_faults(axes, document, given, most)
    if wrong:
        sound = [axis for axis in axes if axis.values and not unknown[axis.name]]
        raise GraphError(dict.fromkeys([*wrong, *_value_faults(session, document, sound, beside)]))
    variants = Variants(session, document, axes, beside=beside)
    variants.check()
    variants.place(at_once)
    return Sweep(session, variants, run)


def _name_faults(document: Document, axis: Axis) -> list[Fault]:
    try:
        with_values(document, {axis.name: None})
    except GraphError as error:
        return list(error.faults)
    return []


def _value_faults(
    session: Session, document: Document, axes: Sequence[Axis], beside: str | Path | None
) -> Iterator[Fault]:
    """What is wrong with the graph and with each value, beside the first ones of the other axes."""
    if not axes:
        try:
            session.check(document, beside=beside)
        except GraphError as error:
            yield from error.faults
    for axis in axes:
        alone = [one if one is axis else Axis(one.name, one.values[:1]) for one in axes]
        try:
            Variants(session, document, alone, beside=beside).check()
        except GraphError as error:
            yield from error.faults
