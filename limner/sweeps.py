"""A sweep: one graph run with every combination of some values, each variant once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.engine.demand import find_todo
from limner.engine.document import Document
from limner.engine.errors import Cancelled, Fault, GraphError, LimnerError
from limner.engine.parameters import with_values
from limner.engine.plan import Plan
from limner.engine.result import Result
from limner.engine.sweep import MAX_VARIANTS, Axis, axis_faults
from limner.session import GraphLike, Session, default_session
from limner.sweep_layout import layout
from limner.sweep_records import Records
from limner.sweep_row import Row
from limner.sweep_table import sweep_table
from limner.variants import AtOnce, Variants

if TYPE_CHECKING:
    import PIL.Image

    from limner.nodes.values import Table

Runner = Callable[[Row, Plan], Result]
"""Runs the plan of a variant to its end."""


class Sweep:
    """Iterate over it to run what is not run yet and to get each variant as it is done; again, to get them all.

    A variant that fails does not stop the others: its row says why. What an earlier sweep finished, in this process or
    another, is not run again.
    """

    def __init__(self, session: Session, variants: Variants, run: Runner | None = None) -> None:
        self.axes: Sequence[Axis] = variants.axes
        self.name = variants.document.name
        self._session = session
        self._variants = variants
        self._run = run or self._run_plan
        self._records = Records(session.cache.store)
        self._rows = [Row(number, values) for number, values in enumerate(variants.values, start=1)]
        self._thumbnails: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        """The variants in the order in which they run. Raises Cancelled where a run was stopped."""
        for index in self._variants.order():
            row = self._rows[index]
            if row.state == "not run":
                row = self._finish(row)
                self._rows[index] = replace(row, result=None)
            yield row

    @property
    def rows(self) -> list[Row]:
        """Every variant in the order of the table, as far as it has come."""
        return list(self._rows)

    def run(self) -> list[Row]:
        """Run what is not run yet. Gives every variant, in the order of the table."""
        for _ in self:
            pass
        return self.rows

    def table(self, *, seconds: bool = False) -> Table:
        """The values, files, states and errors of all variants, after running what is not run yet.

        A sweep that goes on gives the same table as one that nobody stopped; with ``seconds``, it says what each took.
        """
        return sweep_table(self.axes, self.run(), seconds=seconds)

    def grid(self) -> PIL.Image.Image:
        """The first picture of each variant on a labelled sheet, after running what is not run yet.

        Pictures are shown small: a sheet is at most some thousand pixels wide and high.
        """
        from limner.sweep_sheet import sweep_sheet

        rows = self.run()
        return sweep_sheet(self.name, self.axes, map(self._shown, rows))

    def _finish(self, row: Row) -> Row:
        """Run a variant, or find that it was finished earlier."""
        try:
            plan = self._variants.plan(row.number - 1)
            executor = self._session.executor
            keys = executor.keys(plan)
            if (files := self._records.find(plan, keys)) is not None:
                return replace(row, state="done", files=files)
            todo, _ = find_todo(plan, keys, self._session.cache)
            computes = any(todo[i] and not step.node.type.cls.effect for i, step in enumerate(plan.steps))
            result = self._run(row, plan)
        except LimnerError as error:  # such as a file that was there when the sweep began
            return replace(row, state="failed", error=_one_line(error))
        if result.status == "cancelled":
            raise Cancelled
        files = _files_of(result)
        seconds = result.seconds if computes else None
        if result.failures:
            errors = "; ".join(map(_one_line, result.failures.values()))
            return replace(row, state="failed", files=files, seconds=seconds, error=errors, result=result)
        self._records.keep(plan, keys, files)
        done = replace(row, state="done", files=files, seconds=seconds, result=result)
        if not files and (images := done.images):  # the only trace of them that stays
            from limner.sweep_sheet import thumbnail

            self._thumbnails[row.number] = thumbnail(images[0].pixels[0], layout(self.axes).side)
        return done

    def _shown(self, row: Row) -> Any:
        """What the sheet shows of a variant: pixels (H, W, 3), or why there are none."""
        if row.number in self._thumbnails:
            return self._thumbnails[row.number]
        if row.state != "done":
            return row.state
        try:
            images = row.images
        except OSError:
            return "the file is gone"
        return images[0].pixels[0] if images else "no picture"

    def _run_plan(self, row: Row, plan: Plan) -> Result:
        run = self._session.executor.start(plan)
        try:
            result = run.wait()
        except KeyboardInterrupt:
            run.cancel()
            run.wait()
            raise
        assert result is not None, "waiting without a limit ends with a result"
        return result


def _one_line(error: LimnerError) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines())


def _files_of(result: Result) -> tuple[str, ...]:
    from limner.nodes.values import Files

    return tuple(path for files in result.values(Files) for path in files.paths)


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
