"""Everything that running a graph needs, put together once: node types, templates, devices, models, cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from limner.engine.cache import Cache
from limner.engine.check import check
from limner.engine.checked import CheckedGraph
from limner.engine.choose_offload import with_memory, without_working_bytes
from limner.engine.document import Document, parse
from limner.engine.errors import Fault, GraphError
from limner.engine.events import EventStream
from limner.engine.executor import Executor
from limner.engine.garbage import collector_paused
from limner.engine.graph import Graph
from limner.engine.memory_plan import usable_bytes
from limner.engine.models import ResidentModel
from limner.engine.parameters import with_values
from limner.engine.plan import Plan, make_plan
from limner.engine.provenance import Machine
from limner.engine.registry import Registry
from limner.engine.remedies import Remedy, find_remedies, memory_faults
from limner.engine.result import Result
from limner.engine.run import Run
from limner.engine.store import Store
from limner.engine.user_path import user_path
from limner.graphs.library import GraphLibrary
from limner.picture_graph import PICTURES, graph_to_run
from limner.versions import all_software, computing_software

if TYPE_CHECKING:
    from limner.engine.device import DeviceTable
    from limner.engine.pool import ModelPool

GraphLike = Graph | Document | Mapping[str, Any] | str | Path
"""A graph in any form: composed, parsed, a file's path (also of a picture that carries one), or a template's name."""


class Session:
    """Runs graphs, keeping models and results between runs: a second run loads nothing twice.

    ``cache_dir`` None keeps results in memory only. ``device`` is where nodes with ``device: auto`` compute.
    ``checkpoint_interval_s`` is how much denoising a crash may cost; 0 keeps every step.
    ``budget_bytes`` is what may be used of a device; of one that is not named, all but some is.
    ``force`` runs graphs that do not fit, as far as their plans can tell.
    ``devices`` are those to plan for, where that is not this machine; a function is asked when they are needed.
    Making a session is cheap: torch is imported by the first run.
    """

    def __init__(
        self,
        *,
        registry: Registry | None = None,
        library: GraphLibrary | None = None,
        cache_dir: str | Path | None = None,
        memory_bytes: int = 1 << 30,
        device: str = "auto",
        checkpoint_interval_s: float = 2.0,
        budget_bytes: Mapping[str, int] | None = None,
        devices: DeviceTable | Callable[[], DeviceTable] | None = None,
        force: bool = False,
    ) -> None:
        self.registry = registry if registry is not None else Registry.installed()
        self.library = library if library is not None else GraphLibrary()
        self.cache = Cache(memory_bytes, Store(Path(cache_dir)) if cache_dir is not None else None)
        self.device = device
        self.checkpoint_interval_s = checkpoint_interval_s
        self.budget_bytes = dict(budget_bytes or {})
        self._devices = devices
        self.force = force
        self._lock = threading.RLock()
        self._executor: Executor | None = None
        self._pool: ModelPool | None = None

    @cached_property
    def devices(self) -> DeviceTable:
        """The devices of this machine, or those that the session was told of."""
        if self._devices is not None:
            return self._devices() if callable(self._devices) else self._devices
        from limner.nodes._flux2.device import find_devices

        return find_devices()

    @cached_property
    def machine(self) -> Machine:
        """What pictures say of this machine: its devices and the versions of its packages."""
        return Machine({name: device.model for name, device in self.devices.items() if device.model}, all_software())

    @property
    def executor(self) -> Executor:
        """The lanes and the models, shared by every run of this session."""
        with self._lock:  # two first runs at once must not make two pools
            self._executor = self._executor or self._new_executor()
            return self._executor

    def _new_executor(self) -> Executor:
        from limner.engine.pool import ModelPool
        from limner.nodes._flux2.on_demand import OnDemandLoader

        self._pool = ModelPool(OnDemandLoader(), usable_bytes(self.devices, self.budget_bytes))
        return Executor(
            cache=self.cache,
            models=self._pool,
            checkpoint_interval_s=self.checkpoint_interval_s,
            software=computing_software(),
            machine=self.machine,
        )

    def models(self) -> list[ResidentModel]:
        """The models that are alive, most recently used first: what the next run need not load."""
        with self._lock:
            pool = self._pool
        if pool is None:
            return []
        return [
            ResidentModel(one.spec, device, size_bytes, pool.budget_bytes.get(device))
            for one in pool.residents()
            for device, size_bytes in one.bytes_on.items()
        ]

    def free_models(self) -> None:
        """Let the models go that no run holds. The next one that needs them loads them again."""
        with self._lock:
            pool = self._pool
        if pool is not None:
            pool.free()

    def document(
        self, graph: GraphLike, values: Mapping[str, Any] | None = None, *, beside: str | Path | None = None
    ) -> Document:
        """The document of a graph with parameters and settings changed. Raises GraphError, InputError."""
        if isinstance(graph, Graph):
            document = graph.document()
        elif isinstance(graph, Document):
            document = graph
        else:
            raw = self._read(str(graph)) if isinstance(graph, (str, Path)) else graph
            parsed, faults = parse(raw)
            if parsed is None or faults:
                raise GraphError(self._all_faults(raw, faults, self._library_of(graph, beside)))
            document = parsed
        return with_values(document, values) if values else document

    def _read(self, name: str) -> Any:
        """The parsed JSON of a graph in a file, in a picture, or of that name."""
        if Path(name).suffix.lower() in PICTURES:
            return graph_to_run(user_path(name))
        return self.library.load(name)

    def _library_of(self, graph: GraphLike, beside: str | Path | None) -> GraphLibrary:
        """The library as a graph sees it: from the folder of ``beside``, or of its own file."""
        near = beside if beside is not None else graph if isinstance(graph, (str, Path)) else None
        return self.library if near is None else self.library.beside(str(near))

    def _all_faults(self, raw: Any, faults: Iterable[Fault], library: GraphLibrary) -> Iterable[Fault]:
        """The faults of a document's shape, and those that checking its sound parts finds."""
        try:
            check(raw, self.registry, library)
        except GraphError as error:
            return error.faults
        return faults

    def check(
        self, graph: GraphLike, values: Mapping[str, Any] | None = None, *, beside: str | Path | None = None
    ) -> CheckedGraph:
        """The graph, known to be right. Raises GraphError with every fault.

        Graphs that it takes as nodes are looked for in the folder of ``beside``, or of the graph's own file.
        """
        library = self._library_of(graph, beside)
        return check(self.document(graph, values, beside=beside), self.registry, library)

    def plan(
        self, graph: GraphLike, values: Mapping[str, Any] | None = None, *, beside: str | Path | None = None
    ) -> Plan:
        """The graph with every node placed on a device of this machine."""
        with collector_paused():
            return self.place(self.check(graph, values, beside=beside))

    def remedies(
        self, graph: GraphLike, values: Mapping[str, Any] | None = None, *, beside: str | Path | None = None
    ) -> list[Remedy]:
        """The smallest changes that would make a graph fit, the fastest first; none where it does, or nothing helps."""
        return self.remedies_of(self.plan(graph, values, beside=beside))

    def remedies_of(self, plan: Plan) -> list[Remedy]:
        """The same for a plan that was made."""
        return find_remedies(plan, lambda document: self.place(check(document, self.registry, self.library)))

    def place(self, checked: CheckedGraph) -> Plan:
        """Every node of a graph on a device, with the memory that it will take and a policy for what does not fit."""
        from limner.nodes._flux2.weigh import weigh

        plan = make_plan(checked, self.devices, self.device)
        planned = with_memory(plan, weigh, usable_bytes(self.devices, self.budget_bytes))
        return without_working_bytes(planned) if self.force else planned

    def refuse_overflow(self, plan: Plan) -> None:
        """Raise GraphError for a plan that does not fit, with what would; nothing where ``force`` is set."""
        if not self.force and (faults := memory_faults(plan, self.remedies_of(plan))):
            raise GraphError(faults)

    def start(
        self,
        graph: GraphLike,
        values: Mapping[str, Any] | None = None,
        *,
        beside: str | Path | None = None,
        events: EventStream | None = None,
        output_folder: Path | None = None,
    ) -> Run:
        """Begin a run and come back: ``wait`` for it, or ``cancel`` it.

        With ``output_folder``, what nodes write goes there, and no path of the graph leads out of it.
        """
        plan = self.plan(graph, values, beside=beside)  # first, so that a wrong graph imports no framework
        self.refuse_overflow(plan)
        return self.executor.start(plan, events, output_folder)

    def run(self, graph: GraphLike, *, events: EventStream | None = None, **values: Any) -> Result:
        """Run a graph to its end; keyword arguments set its parameters.

        Raises GraphError where the graph is wrong, NodeFailed where a node failed, Cancelled.
        """
        run = self.start(graph, values, events=events)
        try:
            result = run.wait()
        except KeyboardInterrupt:
            run.cancel()
            run.wait()
            raise
        assert result is not None, "waiting without a limit ends with a result"
        result.raise_for_failures()
        return result

    def close(self) -> None:
        """Let models and threads go."""
        with self._lock:
            if self._executor is not None:
                self._executor.close()
            self._executor = self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session behind ``limner.run``: made when first asked for, with the user's disk cache."""
    global _default
    from limner.folders import cache_folder

    with _default_lock:
        if _default is None:
            _default = Session(cache_dir=cache_folder())
        return _default


def plan(graph: GraphLike, *, memory: Mapping[str, int] | None = None, **values: Any) -> Plan:
    """Where each node of a graph would run and what it would take; nothing is loaded.

    ``memory`` has the bytes that may be used of each device; the plan is then for a machine with these devices.
    ``memory`` of what comes back says what is where when, ``steps`` what was decided. See ``limner plan``.

    >>> found = plan("text_to_image", memory={"cuda:0": 24 * 10**9, "cpu": 64 * 10**9})
    >>> found.memory.fits
    True
    """
    if memory is None:
        return default_session().plan(graph, values)
    return Session(devices=machine_with(memory), budget_bytes=memory).plan(graph, values)


def machine_with(memory: Mapping[str, int]) -> DeviceTable:
    """The devices of a machine with so many bytes each, accelerators first, and a processor, which every one has."""
    from limner.engine.device import Device, DeviceTable

    names = sorted(memory, key=lambda name: name == "cpu")
    devices = [Device(name, memory[name], is_here=False) for name in names]
    return DeviceTable(devices if "cpu" in memory else [*devices, Device("cpu", is_here=False)])


def run(graph: GraphLike, *, events: EventStream | None = None, **values: Any) -> Result:
    """Run a graph: a template's name, a path to a JSON file, or a composed ``Graph``.

    Keyword arguments set the graph's parameters. Models and results are kept for the next call.

    >>> run("text_to_image", prompt="a large red circle on a #203040 background", seed=7)  # doctest: +SKIP
    """
    return default_session().run(graph, events=events, **values)
