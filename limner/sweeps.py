"""A sweep: one graph run with every combination of some values, each variant once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from limner.engine.demand import find_todo
from limner.engine.errors import Cancelled, LimnerError
from limner.engine.plan import Plan
from limner.engine.result import Result
from limner.engine.sweep import Axis
from limner.session import Session
from limner.shared_first import needing_models_first
from limner.sweep_layout import layout
from limner.sweep_records import Records
from limner.sweep_row import Row
from limner.sweep_table import sweep_table
from limner.variants import Variants

if TYPE_CHECKING:
    import PIL.Image

    from limner.nodes.values import Table


@dataclass(frozen=True, slots=True)
class Shared:
    """What several variants need, run before them."""

    number: int
    """Counted from 1."""
    of: int


Runner = Callable[[Row | Shared, Plan], Result]
"""Runs a plan to its end: that of a variant, or of what is shared."""


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
        self._run_shared()
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

    def _run_shared(self) -> None:
        """Where not all models can stay, run what first needs one for all variants, before the next takes its place."""
        found: dict[tuple[str, ...], Plan] = {}
        executor = self._session.executor
        for row in self._rows:
            if row.state != "not run":
                continue
            try:
                plan = self._variants.plan(row.number - 1)
                if (document := needing_models_first(plan)) is None:
                    return
                if self._records.find(plan, executor.keys(plan)) is not None:
                    continue
                shared = self._session.plan(document)
                keys = executor.keys(shared)
            except LimnerError:  # the variant will say so itself
                continue
            if any(find_todo(shared, keys, self._session.cache)[0]):
                found.setdefault(tuple(keys[goal] for goal in shared.goals), shared)
        for number, shared in enumerate(found.values() if len(found) > 1 else (), start=1):
            if self._run(Shared(number, len(found)), shared).status == "cancelled":
                raise Cancelled

    def _finish(self, row: Row) -> Row:
        """Run a variant, or find that it was finished earlier."""
        try:
            plan = self._variants.plan(row.number - 1)
            executor = self._session.executor
            keys = executor.keys(plan)
            if (files := self._records.find(plan, keys)) is not None:
                return replace(row, state="done", files=files, was_there=True)
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
        if self._is_as_before(plan, keys):
            self._records.keep(plan, keys, files)
        done = replace(row, state="done", files=files, seconds=seconds, result=result)
        if not files and (images := done.images):  # the only trace of them that stays
            from limner.sweep_sheet import thumbnail

            self._thumbnails[row.number] = thumbnail(images[0].pixels[0], layout(self.axes).side)
        return done

    def _is_as_before(self, plan: Plan, keys: Sequence[str]) -> bool:
        """Whether no file changed since the keys were taken: the run, which takes its own, may have read another."""
        try:
            return self._session.executor.keys(plan) == keys
        except LimnerError:
            return False

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

    def _run_plan(self, what: Row | Shared, plan: Plan) -> Result:
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
