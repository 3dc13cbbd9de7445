"""From the words of a command line to a graph that can run, or one report of everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from limner.comfy_graph import find_imported
from limner.engine.checked import CheckedGraph
from limner.engine.document import Document
from limner.engine.errors import Fault, GraphError
from limner.engine.parameters import by_parameter, read_values, with_values
from limner.engine.plan import Plan
from limner.engine.registry import Registry
from limner.engine.user_path import user_path
from limner.graphs.library import GraphLibrary
from limner.memory_option import absent_devices
from limner.output import redirect
from limner.output_file import folder_fault, writing_faults
from limner.session import Session

T = TypeVar("T")


class Request:
    """A graph as it was asked for: what ``--set`` and ``--out`` make of it, and their faults.

    It may be a workflow of ComfyUI.

    Faults are collected, so that the user reads all of them at once: those of the command line come first (``faults``
    are those that its other options have), then those of the graph. Raises GraphError or InputError at once only for
    a file that cannot be read as a graph.
    """

    def __init__(
        self,
        session: Session,
        graph: str | Document,
        values: Iterable[str] = (),
        out_path: str | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        imported = find_imported(graph, session.registry) if isinstance(graph, str) else None
        self.document = session.document(graph if imported is None else imported.document)
        self.left_out = () if imported is None else imported.left_out
        """Of a workflow of ComfyUI's, the nodes that are not in the graph."""
        self.session = session
        self.beside = graph if isinstance(graph, str) and imported is None else None
        self.faults = list(faults)
        self.given: list[str] = []
        self.out_path = out_path
        for pair in values:
            self._set(pair)
        if out_path is not None:
            self._redirect(out_path)

    @property
    def library(self) -> GraphLibrary:
        """The library as the graph sees it."""
        return self.session.library if self.beside is None else self.session.library.beside(self.beside)

    def _set(self, pair: str) -> None:
        try:
            values = read_values([pair], self.document, self.session.registry, self.library)
            if twice := [name for name in values if name in self.given]:
                self.faults.append(Fault(f"--set {twice[0]}: is given twice", hint="leave one of them out"))
                return
            self.document = with_values(self.document, values)
            self.given += values
        except GraphError as error:
            self.faults += error.faults

    def _redirect(self, target: str) -> None:
        path = user_path(target)
        if message := folder_fault(path / "any" if path.is_dir() else path):
            self.faults.append(Fault(f"--out {target}: {message}", hint="name a folder that you may write to"))
            return
        try:
            self.document = redirect(self.document, target)
        except GraphError as error:
            self.faults += error.faults

    def changed(self) -> Document:
        """The graph as asked for, faults and all. Raises GraphError with those of the command line."""
        return self._all_or_nothing(lambda: self.document)

    def check(self) -> CheckedGraph:
        """The checked graph. Raises GraphError with every fault."""
        return self._all_or_nothing(self._check)

    def plan(self, *, is_to_run: bool = True) -> Plan:
        """The graph with its nodes placed. Raises GraphError with every fault.

        A graph ``is_to_run`` must be able to write its files. What is wrong with the graph itself is found without
        looking for devices, which imports torch.
        """
        return self._all_or_nothing(lambda: self._plan(is_to_run=is_to_run))

    def _plan(self, *, is_to_run: bool) -> Plan:
        checked = self._check()
        self.faults += writing_faults(checked) if is_to_run else ()
        self.faults += absent_devices(self.session.budget_bytes, self.session.devices)
        return self.session.place(checked)

    def _check(self) -> CheckedGraph:
        try:
            return self.session.check(self.document, beside=self.beside)
        except GraphError as error:
            raise GraphError(by_parameter(error.faults, self.given, self.document)) from None

    def _all_or_nothing(self, step: Callable[[], T]) -> T:
        """What a step gives, where nothing before it was wrong either."""
        try:
            made = step()
        except GraphError as error:
            raise GraphError([*self.faults, *error.faults]) from None
        if self.faults:
            raise GraphError(self.faults)
        return made


def faults_as_data(error: GraphError) -> list[dict[str, Any]]:
    """Faults as JSON can hold them."""
    return [{"message": fault.message, "path": fault.path, "hint": fault.hint} for fault in error.faults]


def registry_with(files: Iterable[Path] | None) -> Registry:
    """The installed nodes, and those of files that the user names."""
    registry = Registry.installed()
    for file in files or ():
        registry.add_file(file)
    return registry
