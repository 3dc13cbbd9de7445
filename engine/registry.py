"""The node types that are known, by name: our own, those of installed packages, and files that a user names."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from limner.engine.errors import InputError, NodeTypeError
from limner.engine.node import Node, NodeType

ENTRY_POINT_GROUP = "limner.nodes"
log = logging.getLogger(__name__)


class Registry(Mapping[str, NodeType]):
    """Node types by name. Reading a class happens once, when it is added."""

    def __init__(self, nodes: Iterable[type[Node]] = ()) -> None:
        self._types: dict[str, NodeType] = {}
        for node in nodes:
            self.add(node)

    @classmethod
    def installed(cls) -> Registry:
        """Every node type of the installed packages, found through the entry-point group ``limner.nodes``.

        A package of others that cannot be used is left out with a warning: all else goes on.
        """
        registry = cls()
        points = entry_points(group=ENTRY_POINT_GROUP)
        for point in sorted(points, key=lambda point: (not _is_ours(point), point.name)):
            known = dict(registry._types)
            try:
                registry.add_module(importlib.import_module(point.module))
            except (Exception, SystemExit) as error:
                if _is_ours(point):
                    raise
                registry._types = known  # not half of a package
                log.warning("%s", _left_out(point, error))
        return registry

    def add(self, node: type[Node]) -> NodeType:
        """Add a class. Raises NodeTypeError where it is declared wrongly or its name is taken."""
        known = self._types.get(node.__name__)
        if known is not None and known.cls is not node:
            raise NodeTypeError(
                f"two node types are called {node.__name__}: {known.cls.__module__} and {node.__module__}",
                hint="rename one: the class name is what graphs refer to",
            )
        self._types[node.__name__] = known or NodeType.of(node)
        return self._types[node.__name__]

    def add_module(self, module: ModuleType) -> list[NodeType]:
        """Add every node class that a module offers: those in its ``NODES``, else all that it defines."""
        listed = getattr(module, "NODES", None)
        return [self.add(node) for node in (listed if listed is not None else _defined_in(module))]

    def add_file(self, path: Path) -> list[NodeType]:
        """Run a Python file and add the node classes that it defines. Raises InputError."""
        if not path.is_file():
            raise InputError(f"no such file: {path}", hint="--nodes takes a Python file that defines Node classes")
        # by content: a file that was edited defines other nodes, also for the cache
        name = f"limner_nodes_{path.stem}_{sha256(path.read_bytes()).hexdigest()[:16]}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise InputError(f"not a Python file: {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # type hints are resolved through sys.modules
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise InputError(f"{path}: {type(error).__name__}: {error}") from error
        if not (added := self.add_module(module)):
            raise InputError(f"{path} defines no node", hint="subclass limner.Node; see docs/write-a-node.md")
        return added

    def __getitem__(self, name: str) -> NodeType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)


def _is_ours(point: EntryPoint) -> bool:
    return point.module.partition(".")[0] == "limner"


def _left_out(point: EntryPoint, error: BaseException) -> str:
    package = point.dist.name if point.dist is not None else point.module
    reason = " ".join(str(error).split())
    return (
        f"the nodes of the package {package} are left out: {type(error).__name__}: {reason}"
        f" (mend it, or remove it: pip uninstall {package})"
    )


def _defined_in(module: ModuleType) -> Iterator[type[Node]]:
    for value in vars(module).values():
        if (
            inspect.isclass(value)
            and issubclass(value, Node)
            and value is not Node
            and value.__module__ == module.__name__
        ):
            yield value
