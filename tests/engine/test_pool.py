"""The model pool: loaded once, given to one holder at a time, never taken away from who holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pooled import WHOLE, FakeLoader, Spec, names

from limner.engine import events as ev
from limner.engine.errors import Cancelled, DeviceError, ModelError
from limner.engine.offload import NONE, Offload
from limner.engine.pool import ModelPool


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


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
