"""What the pool keeps, and what leaves for what comes: bytes on each device."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest
from pooled import IN_RAM, ON_DISK, WHOLE, FakeLoader, Spec, names

from limner.engine.errors import DeviceError, ModelError
from limner.engine.footprint import Footprint
from limner.engine.offload import NONE
from limner.engine.pool import ModelPool


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


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
