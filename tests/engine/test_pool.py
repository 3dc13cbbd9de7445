"""The model pool: loaded once, kept while there is room, never taken away from who holds it."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from lab import Lab, graph, node

from limner.engine import events as ev
from limner.engine.context import Context
from limner.engine.errors import Cancelled, DeviceError, ModelError
from limner.engine.executor import Executor
from limner.engine.footprint import Footprint
from limner.engine.models import ModelSpec, NoModels, Report
from limner.engine.node import Node
from limner.engine.offload import NONE, Offload
from limner.engine.pool import ModelPool

GROUP = 2
"""What group offloading brings at once."""
IN_RAM, ON_DISK, WHOLE = Offload(mode="group"), Offload(mode="group", disk="x"), Offload(mode="model")


@dataclass(frozen=True)
class Spec(ModelSpec[Any]):
    name: str
    size: int = 10
    lora: str = ""

    @property
    def base(self) -> Spec:
        return Spec(self.name, self.size)


class Module:
    def __init__(self, size: int) -> None:
        self.size = size
        self.lora = ""


@dataclass
class FakeLoader:
    """Counts, and watches what is alive."""

    loads: list[tuple[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    releases: Callable[[], None] = lambda: None
    """Called where memory is given back."""
    fetches: Callable[[str], None] = lambda name: None
    """Called where a model is downloaded."""
    alive: weakref.WeakSet[Module] = field(default_factory=weakref.WeakSet)
    fails: bool = False
    loading: int = 0
    worn: list[str] = field(default_factory=list)
    peak_bytes: int = 0
    hidden_bytes: int = 0
    """What a module has besides what its files say."""
    placed: list[str] = field(default_factory=list)
    places: Callable[[str], None] = lambda device: None
    """Called where a module is moved."""
    loading_needs: dict[str, int] = field(default_factory=dict)

    def fetch(self, spec: Any, report: Report) -> None:
        report(ev.ModelFetching, spec.name, 0, spec.size)
        self.fetches(spec.name)

    def expect(self, spec: Any, device: str, offload: Offload) -> Footprint:
        return replace(Footprint.of(spec.size, device, offload, GROUP), loading=self.loading_needs)

    def load(self, spec: Any, device: str, offload: Offload) -> Any:
        self.loading += 1
        self.loads.append((spec.name, device))
        try:
            if self.fails:
                raise ModelError("no such weights")
            module = Module(spec.size + self.hidden_bytes)
            self.alive.add(module)
            self.peak_bytes = max(self.peak_bytes, sum(one.size for one in self.alive))
            return module
        finally:
            self.loading -= 1

    @contextmanager
    def adapt(self, module: Any, spec: Any) -> Iterator[None]:
        if spec.lora == "broken":
            raise ModelError("misfits")
        module.lora, module.size = spec.lora, module.size + 1
        self.worn.append(spec.lora)
        yield
        if spec.lora == "sticky":
            raise ModelError("it does not come off")
        module.lora, module.size = "", module.size - 1

    def place(self, module: Any, device: str) -> None:
        self.placed.append(device)
        self.places(device)

    def footprint(self, module: Any, device: str, offload: Offload) -> Footprint:
        return Footprint.of(module.size, device, offload, GROUP)

    def release(self, device: str) -> None:
        self.released.append(device)
        self.releases()


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


def names(pool: ModelPool) -> list[str]:
    return [resident.spec.name for resident in pool.residents()]


def test_a_base_is_loaded_once_for_all_its_variants(loader: FakeLoader) -> None:
    """A LoRA on top is the same resident module, changed while it is held; another device is another module."""
    pool = ModelPool(loader)
    with pool.hold(Spec("a"), "cpu") as plain:
        assert plain.lora == ""
    with pool.hold(Spec("a", lora="style"), "cpu") as styled:
        assert styled is plain
        assert styled.lora == "style"
        assert pool.used_bytes("cpu") == 11
    assert plain.lora == ""
    assert pool.used_bytes("cpu") == 10
    with pool.hold(Spec("a"), "cuda:0") as other:
        assert other is not plain
    assert loader.loads == [("a", "cpu"), ("a", "cuda:0")]


def test_one_variant_at_a_time(loader: FakeLoader) -> None:
    """Who holds a variant again gets it; another variant of the same weights is refused, and nothing is stuck."""
    pool = ModelPool(loader)
    with pool.hold(Spec("a", lora="x"), "cpu") as module, pool.hold(Spec("a", lora="x"), "cpu"):
        for other in ("", "y"):
            with pytest.raises(ModelError, match="share their weights"), pool.hold(Spec("a", lora=other), "cpu"):
                pass
        assert module.lora == "x"
    with pool.hold(Spec("a"), "cpu"):
        assert module.lora == ""
    assert loader.worn == ["x"]
    assert pool.residents()[0].holders == 0


def test_users_of_one_variant_may_overlap(loader: FakeLoader) -> None:
    """Who came first may leave first: the variant stays for the other."""
    pool = ModelPool(loader)
    first, second = (pool.hold(Spec("a", lora="x"), "cpu") for _ in range(2))
    module = first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert module.lora == "x"
    second.__exit__(None, None, None)
    assert module.lora == ""


def test_a_variant_that_fails_leaves_the_base(loader: FakeLoader) -> None:
    pool = ModelPool(loader)
    with pytest.raises(ModelError, match="misfits"), pool.hold(Spec("a", lora="broken"), "cpu"):
        pass
    with pool.hold(Spec("a"), "cpu") as module:
        assert module.lora == ""
    assert loader.loads == [("a", "cpu")]


def test_variants_of_two_threads_take_turns(loader: FakeLoader) -> None:
    """Each sees its own variant for as long as it holds it."""
    pool, barrier, seen = ModelPool(loader), threading.Barrier(4), list[tuple[str, str]]()

    def use(lora: str) -> None:
        barrier.wait(10)
        for _ in range(25):
            with pool.hold(Spec("a", lora=lora), "cpu") as module:
                seen.append((lora, module.lora))

    threads = [threading.Thread(target=use, args=(lora,)) for lora in ("", "x", "y", "z")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(seen) == 100
    assert all(wanted == found for wanted, found in seen)


def test_eight_threads_load_once(loader: FakeLoader) -> None:
    pool, barrier, seen = ModelPool(loader), threading.Barrier(8), list[Any]()

    def use() -> None:
        barrier.wait(10)
        with pool.hold(Spec("a"), "cpu") as module:
            seen.append(module)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert loader.loads == [("a", "cpu")]
    assert len(set(seen)) == 1
    assert pool.residents()[0].holders == 0


def test_the_least_recently_used_leaves_first(loader: FakeLoader) -> None:
    pool = ModelPool(loader, {"cpu": 30})
    for name in ("a", "b", "c", "a", "d"):
        with pool.hold(Spec(name), "cpu"):
            pass
    assert names(pool) == ["d", "a", "c"]
    assert pool.used_bytes("cpu") == 30
    assert loader.released == ["cpu"]
    assert loader.peak_bytes == 30, "room is made before a load, not after it"


def test_what_does_not_fit_alone_is_refused_before_it_is_loaded(loader: FakeLoader) -> None:
    """The fault says needs, has and what to try; nothing was dropped for it."""
    pool = ModelPool(loader, {"cpu": 30})
    with pool.hold(Spec("a"), "cpu"):
        pass
    with pytest.raises(DeviceError, match=r"needs 3.1e-05 MB, and cpu has 3e-05 MB") as caught:
        pool.hold(Spec("giant", 31), "cpu").__enter__()
    assert "smaller model" in str(caught.value)
    assert loader.loads == [("a", "cpu")]
    assert names(pool) == ["a"]
    with pool.hold(Spec("giant", 31), "cuda:0"):
        assert pool.used_bytes("cuda:0") == 31, "a device whose memory is not known keeps everything"


def test_after_a_load_the_module_counts_as_it_is(loader: FakeLoader) -> None:
    """Buffers that no file tells of make others leave, or the module itself where it does not fit with them."""
    loader.hidden_bytes = 3
    pool = ModelPool(loader, {"cpu": 30})
    for name in "abc":
        with pool.hold(Spec(name), "cpu"):
            pass
    assert names(pool) == ["c", "b"]
    assert pool.used_bytes("cpu") == 26
    with pytest.raises(DeviceError), pool.hold(Spec("d", 29), "cpu"):
        pass
    assert loader.released[-1] == "cpu"
    assert loader.loads[-1] == ("d", "cpu")
    gc.collect()
    assert sum(one.size for one in loader.alive) == pool.used_bytes("cpu")


def test_what_is_held_is_never_dropped(loader: FakeLoader) -> None:
    """When only held modules are there, the new one is refused with the figures, and the held ones stay."""
    pool = ModelPool(loader, {"cpu": 25})
    with pool.hold(Spec("a"), "cpu") as a, pool.hold(Spec("b"), "cpu"):
        with pytest.raises(DeviceError, match="cannot leave while in use"), pool.hold(Spec("c"), "cpu"):
            pass
        assert sorted(names(pool)) == ["a", "b"]
        assert a.size == 10
    with pool.hold(Spec("c"), "cpu"):
        assert names(pool) == ["c", "b"]


def test_what_nobody_holds_can_be_let_go(loader: FakeLoader) -> None:
    """``free`` drops what is idle, gives its memory back, and leaves what is held; later it is loaded again."""
    pool = ModelPool(loader, {})
    with pool.hold(Spec("a"), "cpu"):
        with pool.hold(Spec("b"), "cpu"):
            pass
        pool.free()
        assert names(pool) == ["a"]
    pool.free()
    assert names(pool) == []
    with pool.hold(Spec("a"), "cpu"):
        assert names(pool) == ["a"]


def test_a_failed_load_leaves_nothing(loader: FakeLoader) -> None:
    """The error comes through, nothing is resident, and the next attempt loads again."""
    pool = ModelPool(loader)
    loader.fails = True
    for _ in range(2):
        with pytest.raises(ModelError), pool.hold(Spec("a"), "cpu"):
            pass
    assert names(pool) == []
    loader.fails = False
    with pool.hold(Spec("a"), "cpu"):
        assert names(pool) == ["a"]
    assert len(loader.loads) == 3


def test_an_error_in_the_block_lets_go(loader: FakeLoader) -> None:
    pool = ModelPool(loader)
    with pytest.raises(KeyError), pool.hold(Spec("a"), "cpu"):
        raise KeyError
    assert pool.residents()[0].holders == 0


def test_taking_turns_leaves_memory_as_it_was(loader: FakeLoader) -> None:
    """Fifty turns of two models that do not fit together: never more than one stays, and none leaks."""
    told: list[tuple[str, str]] = []
    pool = ModelPool(loader, {"cpu": 15})
    for _ in range(50):
        for name in ("encoder", "transformer"):
            with pool.hold(Spec(name), "cpu", lambda kind, model, *_: told.append((kind.__name__, model))):
                assert pool.used_bytes("cpu") == 10
            assert len(loader.alive) == 1
    encoder, transformer = str(Spec("encoder")), str(Spec("transformer"))
    assert told[3:7] == [
        ("ModelFetching", "transformer"),
        ("ModelDropped", encoder),
        ("ModelLoading", transformer),
        ("ModelLoaded", transformer),
    ]
    kinds = [kind for kind, _ in told]
    assert (kinds.count("ModelLoading"), kinds.count("ModelDropped")) == (100, 99)
    assert loader.peak_bytes == 10
    del pool  # as a session does when it is closed
    gc.collect()
    assert not loader.alive


def test_cancelling_keeps_what_is_loaded(loader: FakeLoader) -> None:
    """Who stops while a model loads does not hold it; it stays for the next who wants it, as it is."""
    loader.hidden_bytes = 3
    pool, told = ModelPool(loader), []

    def stop(kind: Any, *fields: Any) -> None:
        if kind is ev.ModelLoaded:
            told.append(fields)
            raise Cancelled

    with pytest.raises(Cancelled), pool.hold(Spec("a"), "cpu", stop):
        pass
    (model, device, size_bytes, seconds), (resident,) = *told, pool.residents()
    assert (model, device, size_bytes, resident.holders) == (str(Spec("a")), "cpu", 13, 0)
    assert seconds >= 0
    with pool.hold(Spec("a"), "cpu"):
        assert loader.loads == [("a", "cpu")]


def test_offloaded_weights_count_where_they_are(loader: FakeLoader) -> None:
    """In RAM while they wait; on the device while they are held, of groups only what is there at once."""
    pool, seen = ModelPool(loader), dict[str, list[int]]()
    for name, offload in (("whole", WHOLE), ("ram", IN_RAM), ("disk", ON_DISK)):
        for _ in range(2):
            with pool.hold(Spec(name), "cuda:0", offload=offload):
                held = [pool.used_bytes("cuda:0"), pool.used_bytes("cpu")]
        seen[name] = [*held, pool.used_bytes("cuda:0"), pool.used_bytes("cpu")]
    assert seen == {"whole": [10, 0, 0, 10], "ram": [2, 20, 0, 20], "disk": [2, 20, 0, 20]}
    assert loader.placed == ["cuda:0", "cpu"] * 2
    assert len(loader.loads) == 3


def test_models_that_wait_take_turns_on_a_small_device(loader: FakeLoader) -> None:
    """Both are loaded once, and neither is ever dropped: that is what offload is for."""
    pool = ModelPool(loader, {"cuda:0": 12, "cpu": 20})
    for _ in range(50):
        for name in ("encoder", "transformer"):
            with pool.hold(Spec(name), "cuda:0", offload=WHOLE):
                assert pool.used_bytes("cuda:0") == 10
            assert pool.used_bytes("cuda:0") == 0
    assert len(loader.loads) == 2
    assert pool.used_bytes("cpu") == 20


def test_what_is_plain_leaves_for_what_is_brought(loader: FakeLoader) -> None:
    """Room on the device is made when a waiting model comes, not only when one is loaded."""
    pool = ModelPool(loader, {"cuda:0": 12})
    with pool.hold(Spec("waits"), "cuda:0", offload=WHOLE):
        pass
    with pool.hold(Spec("plain"), "cuda:0"):
        with pytest.raises(DeviceError, match="cannot leave while in use"):
            pool.hold(Spec("waits"), "cuda:0", offload=WHOLE).__enter__()
        assert pool.used_bytes("cpu") == 10, "it still waits"
    told: list[str] = []
    with pool.hold(Spec("waits"), "cuda:0", lambda kind, *_: told.append(kind.__name__), WHOLE):
        assert names(pool) == ["waits"]
    assert told == ["ModelDropped"]


def test_ram_has_a_budget_too(loader: FakeLoader) -> None:
    """What waits longest leaves; a model that finds its place in RAM taken when it comes back leaves itself."""
    pool = ModelPool(loader, {"cuda:0": 30, "cpu": 25})
    for name in ("a", "b", "c"):
        with pool.hold(Spec(name), "cuda:0", offload=IN_RAM):
            pass
    assert names(pool) == ["c", "b"]
    with pool.hold(Spec("w"), "cuda:0", offload=WHOLE):
        with pool.hold(Spec("x", 20), "cpu"):
            assert sorted(names(pool)) == ["w", "x"]
            pool_holds_w_on = pool.used_bytes("cuda:0")
        assert pool_holds_w_on == 10
        turn = pool.hold(Spec("x", 20), "cpu")
        turn.__enter__()
    assert names(pool) == ["x"]
    assert (pool.used_bytes("cuda:0"), pool.used_bytes("cpu")) == (0, 20)
    turn.__exit__(None, None, None)
    gc.collect()
    assert sum(one.size for one in loader.alive) == 20
    with pytest.raises(DeviceError, match=r"needs 2.6e-05 MB, and cpu has 2.5e-05 MB for models"):
        pool.hold(Spec("giant", 26), "cuda:0", offload=WHOLE).__enter__()


def test_two_policies_of_one_model_do_not_stay_where_memory_is_short(loader: FakeLoader) -> None:
    """The other copy leaves first, before models that were used longer ago."""
    pool = ModelPool(loader, {"cpu": 25})
    for spec, offload in ((Spec("old"), NONE), (Spec("a"), NONE), (Spec("a"), IN_RAM)):
        with pool.hold(spec, "cpu", offload=offload):
            pass
    assert [(r.spec.name, r.offload) for r in pool.residents()] == [("a", IN_RAM), ("old", NONE)]


def test_a_variant_of_what_waits_comes_off_before_it_leaves(loader: FakeLoader) -> None:
    pool = ModelPool(loader)
    with pool.hold(Spec("a", lora="x"), "cuda:0", offload=WHOLE) as module:
        assert (module.lora, pool.used_bytes("cuda:0")) == ("x", 11)
    assert (module.lora, pool.used_bytes("cuda:0"), pool.used_bytes("cpu")) == ("", 0, 10)
    with pytest.raises(ModelError, match="misfits"):
        pool.hold(Spec("a", lora="broken"), "cuda:0", offload=WHOLE).__enter__()
    assert (pool.used_bytes("cuda:0"), pool.used_bytes("cpu")) == (0, 10)


def test_what_loading_needs_elsewhere_is_made_room_for(loader: FakeLoader) -> None:
    """A model that is quantized on the device before it waits in RAM needs its place there once."""
    loader.loading_needs = {"cuda:0": 10}
    pool = ModelPool(loader, {"cuda:0": 15})
    with pool.hold(Spec("plain"), "cuda:0"):
        pass
    with pool.hold(Spec("a"), "cuda:0", offload=IN_RAM):
        assert names(pool) == ["a"]


class Shifting(Footprint):
    """Lets a move go on when another lane asks what it takes meanwhile, and gives it time to end."""

    asked: Callable[[], None]

    @property
    def peak(self) -> dict[str, int]:  # type: ignore[override]  # asked anew each time
        self.asked()
        return super().peak


def test_other_lanes_count_a_move_before_it_or_after_it(loader: FakeLoader) -> None:
    """A model that arrives where it computes while another lane makes room in RAM does not change its figures there."""
    pool, moves, asked = ModelPool(loader, {"cpu": 100}), threading.Event(), threading.Event()
    main, seen = threading.current_thread(), list[int]()

    def move() -> None:
        with pool.hold(Spec("a"), "cuda:0", offload=WHOLE):
            seen.append(pool.used_bytes("cuda:0"))

    def wait(device: str) -> None:
        moves.set()
        assert asked.wait(10)

    def ask() -> None:
        if threading.current_thread() is main and moves.is_set() and not asked.is_set():
            asked.set()
            mover.join(0.3)

    with pool.hold(Spec("a"), "cuda:0", offload=WHOLE):
        pass
    (resident,) = pool.residents()
    shifting = Shifting(resident.footprint.waiting, resident.footprint.held)
    object.__setattr__(shifting, "asked", ask)
    resident.footprint = shifting
    loader.places = lambda device: wait(device) if device != "cpu" else None
    mover = threading.Thread(target=move)
    mover.start()
    assert moves.wait(10)
    with pool.hold(Spec("b"), "cpu"):
        assert asked.is_set()
    mover.join(10)
    assert seen == [10]


@pytest.mark.parametrize("offload", [NONE, WHOLE])
def test_a_variant_that_does_not_come_off_takes_its_module_along(loader: FakeLoader, offload: Offload) -> None:
    """Nobody knows what is left on it: the error comes through, and the next holder gets a fresh module."""
    pool = ModelPool(loader)
    with (
        pytest.raises(ModelError, match="does not come off"),
        pool.hold(Spec("a", lora="sticky"), "cuda:0", offload=offload) as spoiled,
    ):
        pass
    assert names(pool) == []
    assert (pool.used_bytes("cuda:0"), pool.used_bytes("cpu")) == (0, 0)
    with pool.hold(Spec("a"), "cuda:0", offload=offload) as fresh:
        assert fresh is not spoiled
        assert fresh.lora == ""


def test_a_move_that_fails_takes_its_module_along(loader: FakeLoader) -> None:
    """Half of it may be on the device: nothing of it is counted or given out any more."""
    pool = ModelPool(loader)

    def fail(device: str) -> None:
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="lost"), pool.hold(Spec("a"), "cuda:0", offload=WHOLE):
        loader.places = fail
    assert (names(pool), pool.used_bytes("cuda:0"), pool.used_bytes("cpu")) == ([], 0, 0)


def test_who_waited_for_a_module_that_was_dropped_gets_another(loader: FakeLoader) -> None:
    pool, waits, seen = ModelPool(loader), threading.Event(), list[Any]()

    def use() -> None:
        with pool.hold(Spec("a"), "cpu") as module:
            seen.append(module)

    thread, turn = threading.Thread(target=use), pool.hold(Spec("a", lora="sticky"), "cpu")
    spoiled = turn.__enter__()
    (resident,) = pool.residents()
    thread.start()
    while resident.holders < 2:
        waits.wait(0.001)
    with pytest.raises(ModelError, match="does not come off"):
        turn.__exit__(None, None, None)
    thread.join(10)
    assert len(seen) == 1
    assert seen[0] is not None
    assert seen[0] is not spoiled
    assert pool.residents()[0].holders == 0


def from_another_thread(ask: Callable[[], Any]) -> bool:
    """Whether something is answered to another thread, or it would have to wait."""
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2)
    return not thread.is_alive()


def test_others_do_not_wait_for_a_download(loader: FakeLoader) -> None:
    """What is resident is given out while the device's next model comes over the network."""
    pool, answers = ModelPool(loader), list[bool]()
    with pool.hold(Spec("a"), "cpu"):
        pass

    def use() -> None:
        with pool.hold(Spec("a"), "cpu"):
            pass

    loader.fetches = lambda name: answers.append(from_another_thread(use))
    with pool.hold(Spec("b"), "cpu"):
        assert answers == [True]


def test_others_do_not_wait_for_memory_that_is_given_back(loader: FakeLoader) -> None:
    pool, answers = ModelPool(loader, {"cpu": 15}), list[bool]()
    loader.releases = lambda: answers.append(from_another_thread(pool.residents))
    for name in "ab":
        with pool.hold(Spec(name), "cpu"):
            pass
    assert answers == [True]


class Hold(Node):
    """What a model's size is."""

    def run(self, ctx: Context) -> int:
        with ctx.hold(Spec("a")) as module:
            return int(module.size)


@dataclass
class EndlessLoader(FakeLoader):
    """Downloads for ever, or until the report stops it."""

    has_begun: threading.Event = field(default_factory=threading.Event)

    def fetch(self, spec: Any, report: Report) -> None:
        for done_bytes in range(100_000):
            report(ev.ModelFetching, spec.name, done_bytes, 100_000)
            self.has_begun.set()
            time.sleep(0.001)


def test_what_the_pool_does_is_told_in_the_run(loader: FakeLoader) -> None:
    with Executor(models=ModelPool(loader)) as executor:
        lab = Lab(executor).add(Hold)
        lab.run(graph({"hold": node("Hold")}))
    assert [type(event).__name__ for event in lab.log[1:-1]] == [
        "NodeStarted",
        "ModelFetching",
        "ModelLoading",
        "ModelLoaded",
        "NodeFinished",
    ]
    assert [event[2:] for event in lab.log if isinstance(event, ev.ModelLoading)] == [
        ("hold", str(Spec("a")), lab.plan(graph({"hold": node("Hold")})).steps[0].device, 10)
    ]


def test_cancelling_a_run_stops_a_download() -> None:
    loader = EndlessLoader()
    with Executor(models=ModelPool(loader)) as executor:
        lab = Lab(executor).add(Hold)
        run = lab.start(graph({"hold": node("Hold")}))
        assert loader.has_begun.wait(10)
        run.cancel()
        assert lab.finish(run).status == "cancelled"
    assert lab.nodes(ev.NodeSkipped) == ["hold"]
    assert loader.loads == []


def test_without_a_pool_holding_says_so() -> None:
    with pytest.raises(LookupError, match="no model pool"):
        NoModels().hold(Spec("a"), "cpu")
