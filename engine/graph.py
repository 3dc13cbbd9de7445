"""Composing a graph in Python: the same thing as the JSON file, made by adding nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from limner.engine.document import Document, NodeDocument, NodeId, parse, read_json
from limner.engine.errors import Fault, GraphError, InputError, suggest
from limner.engine.expand import GRAPH_TYPE, Library
from limner.engine.node import Node, NodeType, snake_case
from limner.engine.offload import AUTO, Mode, Offload
from limner.engine.write import write_atomically


class Handle:
    """A node that was added. Its attributes are its output ports; itself, where it has one, is that port."""

    def __init__(self, graph: Graph, node_id: str, type_name: str, wires: Mapping[str, str]) -> None:
        self._graph = graph
        self._id = node_id
        self._type = type_name
        self._wires = wires
        """By output, how a wire to it is written."""

    def __getattr__(self, name: str) -> Output:
        if name not in self._wires:
            raise AttributeError(
                f"{self._type} has no output {name!r}; {suggest(name, self._wires) or 'it gives nothing'}"
            )
        return Output(self._graph, self._wires[name])

    def __repr__(self) -> str:
        return f"<{self._id}: {self._type}>"


class Output:
    """One output port of a node that was added."""

    def __init__(self, graph: Graph, wire: str) -> None:
        self._graph = graph
        self.wire = wire

    def __repr__(self) -> str:
        return f"<output {self.wire}>"


Source = Handle | Output | str


class Graph:
    """A graph under construction.

    >>> graph = Graph("mine")
    >>> model = graph.add(LoadModel(source="tiny"))                                        # doctest: +SKIP
    >>> text = graph.add(TextEncode(prompt="a star"), text_encoder=model.text_encoder)     # doctest: +SKIP
    """

    def __init__(self, name: str = "graph", description: str = "", *, library: Library | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a graph's name is a text, not {name!r}")
        self.name = name
        self.description = description
        self.library = library
        """Where ``add_graph`` looks for graphs."""
        self._nodes: dict[str, NodeDocument] = {}
        self._parameters: dict[str, str | list[str]] = {}
        self._outputs: dict[str, str] = {}
        self._layout: dict[str, Any] = {}

    def add(
        self,
        node: Node,
        *,
        id: str | None = None,  # noqa: A002  # the word that graphs use
        device: str = "auto",
        offload: Offload | Mode = AUTO,
        **wires: Source | list[Source],
    ) -> Handle:
        """Add a node and wire its inputs (or settings). Without ``id`` it is called after its type: ``text_encode``.

        Raises GraphError for an id that is taken or none, an input that the type has not, and a wire that cannot be
        meant; whether the wire types fit is checked with everything else, before running.
        """
        if not isinstance(node, Node):
            raise TypeError(f"add takes a node, such as {getattr(node, '__name__', 'TextEncode')}(), not {node!r}")
        node_type = NodeType.of(type(node))
        node_id = self._new_id(id, snake_case(node_type.name))
        drawn = {port: self._wires(node_id, port, source) for port, source in wires.items()}
        if unknown := [port for port in drawn if port not in node_type.inputs and port not in node_type.settings]:
            known = [*node_type.inputs, *node_type.settings]
            raise GraphError(
                Fault(
                    f"{port}: {node_type.name} has no such input",
                    ("nodes", node_id, "wires", port),
                    suggest(port, known),
                )
                for port in unknown
            )
        settings = node.model_dump(mode="json", exclude_unset=True, exclude=set(drawn))
        self._nodes[node_id] = NodeDocument(
            type=node_type.name, settings=settings, wires=drawn, device=device, offload=_policy(offload)
        )
        names = [port.name for port in node_type.outputs]
        ports = {name: node_id if len(names) == 1 else f"{node_id}.{name}" for name in names}
        return Handle(self, node_id, node_type.name, ports)

    def add_graph(
        self,
        graph: str | Path,
        /,
        *,
        id: str | None = None,  # noqa: A002  # the word that graphs use
        device: str = "auto",
        offload: Offload | Mode = AUTO,
        **values: Any,
    ) -> Handle:
        """Add another graph as a node. ``graph`` is a template's name or a path; ``values`` are its parameters.

        Handles and outputs among the values become wires, everything else settings. The handle's attributes are the
        graph's outputs. Whether its parameters are called so is checked with everything else, before running.
        Raises InputError where there is no such graph, GraphError where it is wrong, or where ``id`` is.
        """
        name = str(graph)
        ports = self._outputs_of(name)
        node_id = self._new_id(id, Path(name).stem if _is_node_id(Path(name).stem) else "graph")
        wires = {key: self._wires(node_id, key, value) for key, value in values.items() if _is_source(value)}
        settings = {"graph": name} | {key: value for key, value in values.items() if key not in wires}
        self._nodes[node_id] = NodeDocument(
            type=GRAPH_TYPE, settings=settings, wires=wires, device=device, offload=_policy(offload)
        )
        return Handle(self, node_id, name, {port: f"{node_id}.{port}" for port in ports})

    def _outputs_of(self, graph: str) -> list[str]:
        if self.library is None:
            raise InputError(f"no graph is called {graph}", hint="Graph(library=...) says where graphs are")
        document, faults = parse(self.library.load(graph))
        if document is None or faults:
            raise GraphError(faults)
        return list(document.outputs)

    def parameter(self, name: str, *targets: str) -> None:
        """Let a caller set ``targets`` (each ``"node.setting"``) under one name: the graph becomes a template."""
        self._parameters[name] = targets[0] if len(targets) == 1 else list(targets)

    def output(self, name: str, source: Source) -> None:
        """Offer an output under a name, for graphs that take this one as a node."""
        self._outputs[name] = self._wire(("outputs", name), source)

    def document(self) -> Document:
        """The graph as a document."""
        return Document(
            name=self.name,
            description=self.description,
            parameters=dict(self._parameters),
            nodes=dict(self._nodes),
            outputs=dict(self._outputs),
            layout=dict(self._layout),
        )

    def save(self, path: str | Path) -> None:
        """Write the graph file. An existing one is replaced whole or not at all. Raises InputError for a folder."""
        if Path(path).is_dir():
            raise InputError(f"{path} is a folder", hint="name a file, such as graph.json")
        write_atomically(Path(path), self.document().to_json().encode())

    @classmethod
    def load(cls, path: str | Path) -> Graph:
        """Read a graph file. Raises GraphError, or InputError where there is no file."""
        return cls.of(load_document(Path(path)))

    @classmethod
    def of(cls, document: Document) -> Graph:
        """A graph to go on composing from a document."""
        graph = cls(document.name, document.description)
        graph._nodes = dict(document.nodes)
        graph._parameters = dict(document.parameters)
        graph._outputs = dict(document.outputs)
        graph._layout = dict(document.layout)
        return graph

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.document() == other.document()

    __hash__ = None  # type: ignore[assignment]  # it changes as nodes are added

    def _wires(self, node_id: str, port: str, source: Source | list[Source]) -> str | list[str]:
        path = ("nodes", node_id, "wires", port)
        return [self._wire(path, one) for one in source] if isinstance(source, list) else self._wire(path, source)

    def _wire(self, path: tuple[str, ...], source: Source) -> str:
        """How a wire from a source is written. Raises GraphError for a source that cannot be meant."""
        if isinstance(source, str):
            return source
        if not isinstance(source, (Handle, Output)):
            raise GraphError(
                [Fault(f"{path[-1]}: {source!r} is no node and no output", path, "wire what add returned")]
            )
        if source._graph is not self:
            raise GraphError([Fault(f"{path[-1]}: {source!r} belongs to another graph", path, "add it to this one")])
        if isinstance(source, Output):
            return source.wire
        if len(source._wires) != 1:
            ports = " or ".join(f".{name}" for name in source._wires) or "none of them"
            raise GraphError([Fault(f"{path[-1]}: {source!r} has {len(source._wires)} outputs", path, f"take {ports}")])
        return next(iter(source._wires.values()))

    def _new_id(self, wanted: str | None, name: str) -> str:
        """The id that was asked for, or a free one after ``name``. Raises GraphError."""
        if wanted is None:
            return self._free_id(name)
        if wanted in self._nodes:
            raise GraphError([Fault(f"there is a node {wanted!r} already", ("nodes", wanted), "give it another id")])
        if not _is_node_id(wanted):
            raise GraphError(
                [Fault(f"{wanted!r} is no id for a node", ("nodes", wanted), "use letters, digits, _ and -")]
            )
        return wanted

    def _free_id(self, name: str) -> str:
        number = 2
        candidate = name
        while candidate in self._nodes:
            candidate, number = f"{name}_{number}", number + 1
        return candidate


def _policy(offload: Offload | Mode) -> Offload:
    return offload if isinstance(offload, Offload) else Offload(mode=offload)


def _is_node_id(text: str) -> bool:
    try:
        TypeAdapter(NodeId).validate_python(text)
    except ValidationError:
        return False
    return True


def _is_source(value: object) -> bool:
    """Whether a value is drawn from nodes: a handle, an output, or a list of them."""
    return isinstance(value, (Handle, Output)) or (
        isinstance(value, list) and bool(value) and all(isinstance(one, (Handle, Output)) for one in value)
    )


def load_document(path: Path) -> Document:
    """Read a graph file's shape; checking it against node types comes later. Raises GraphError or InputError."""
    document, faults = parse(read_file(path))
    if document is None or faults:
        raise GraphError(faults)
    return document


def read_file(path: Path) -> Any:
    """The parsed JSON of a file. Raises InputError where it cannot be read, GraphError where it is not JSON."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        return read_json(content)
    except GraphError as error:
        raise GraphError(replace(fault, message=f"{path.name}: {fault.message}") for fault in error.faults) from None
