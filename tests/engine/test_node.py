"""Declaring nodes: what is read from a class, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Optional, Protocol, TypeVar

import pytest
from lab import Add, Halves, Split, Start, Sum
from pydantic import Field, ValidationError

from limner.engine.context import Context
from limner.engine.errors import NodeTypeError
from limner.engine.node import Node, NodeType, Port, snake_case
from limner.engine.value import fits, is_storable, size_bytes


class Latent:
    pass


class Many(Node):
    """Does much.

    And more.
    """

    seed: int = 0
    style: Literal["a", "b"] = "a"
    maybe: float | None = None
    rows: tuple[int, ...] = ()

    async def run(
        self,
        ctx: Context,
        first: Latent,
        rest: list[Latent],
        *,
        extra: Latent | None = None,
        more: list[int] | None = None,
    ) -> Latent:
        return first


N = TypeVar("N", bound=int)


class Same(Node):
    """Gives what it takes."""

    def run(self, ctx: Context, value: N) -> N:
        return value


def test_a_declaration_is_read() -> None:
    """Ports, optional ones, lists, keyword-only ones, the outputs' names, and whether it is async."""
    found = NodeType.of(Many)
    assert list(found.inputs.values()) == [
        Port("first", Latent),
        Port("rest", Latent, is_many=True),
        Port("extra", Latent, is_optional=True),
        Port("more", int, is_optional=True, is_many=True),
    ]
    assert found.outputs == (Port("latent", Latent),)
    assert [port.name for port in found.required] == ["first", "rest"]
    assert found.is_async
    assert not NodeType.of(Add).is_async
    assert found.summary == "Does much."
    assert found.inputs["rest"].label == "list of Latent"
    assert list(found.settings) == ["seed", "style", "maybe", "rows"]
    assert found.settings_schema["properties"]["seed"]["type"] == "integer"
    assert found.describe()["inputs"]["rest"]["many"]


def test_several_outputs_are_a_named_tuple() -> None:
    found = NodeType.of(Split)
    assert [port.name for port in found.outputs] == ["low", "high"]
    assert found.output("high") == 1
    with pytest.raises(KeyError):
        found.output(None)
    assert NodeType.of(Start).output(None) == 0


def test_which_settings_can_be_wired() -> None:
    found = NodeType.of(Many)
    kinds = {name: found.setting_type(name) for name in found.settings}
    assert kinds == {"seed": int, "style": str, "maybe": float, "rows": None}
    assert set(found.partial(frozenset({"seed"})).model_fields) == {"style", "maybe", "rows"}


class Pair(NamedTuple):
    numbers: list[int]


class Seen(Protocol):
    size: int


def _runs() -> dict[str, Callable[..., Any]]:
    def no_ctx(self: Any) -> int: ...
    def ctx_late(self: Any, value: int, ctx: Any) -> int: ...
    def ctx_keyword(self: Any, *, ctx: Any) -> int: ...
    def no_return(self: Any, ctx: Any): ...  # type: ignore[no-untyped-def]  # that is what is tested
    def no_hint(self: Any, ctx: Any, value) -> int: ...  # type: ignore[no-untyped-def]  # that is what is tested
    def star(self: Any, ctx: Any, *values: int) -> int: ...
    def stars(self: Any, ctx: Any, **values: int) -> int: ...
    def positional(self: Any, ctx: Any, value: int, /) -> int: ...
    def union(self: Any, ctx: Any, value: int | str) -> int: ...
    def nested(self: Any, ctx: Any, value: list[list[int]]) -> int: ...
    def mapping(self: Any, ctx: Any, value: dict[str, int]) -> int: ...
    def anything(self: Any, ctx: Any, value: Any) -> int: ...
    def protocol(self: Any, ctx: Any, value: Seen) -> int: ...
    def unknown(self: Any, ctx: Any, value: Gone) -> int: ...  # type: ignore[name-defined]  # noqa: F821  # that is what is tested
    def broken(self: Any, ctx: Any, value: "int[") -> int: ...  # type: ignore[syntax]  # noqa: F722  # that is what is tested
    def setting(self: Any, ctx: Any, amount: int) -> int: ...
    def gives_list(self: Any, ctx: Any) -> list[int]: ...
    def gives_union(self: Any, ctx: Any) -> Optional[int]: ...  # noqa: UP045  # the old form, too
    def gives_any(self: Any, ctx: Any) -> Any: ...
    def gives_odd_pair(self: Any, ctx: Any) -> Pair: ...

    return dict(locals())


@pytest.mark.parametrize("name", _runs())
def test_a_wrong_declaration_names_the_class(name: str) -> None:
    """Each mistake of an author is a NodeTypeError that says which class, at registration."""
    wrong = type(
        "Wrong",
        (Node,),
        {"run": _runs()[name], "amount": 1, "__annotations__": {"amount": int}, "__module__": __name__},
    )
    with pytest.raises(NodeTypeError, match="Wrong"):
        NodeType.of(wrong)


def test_an_async_node_cannot_take_turns_on_a_device() -> None:
    """A device does one thing at a time, which async nodes would not."""

    class Remote(Node):
        on_device: ClassVar[bool] = True

        async def run(self, ctx: Context) -> int:
            return 0

    with pytest.raises(NodeTypeError, match="Remote: an async run cannot be on_device") as caught:
        NodeType.of(Remote)
    assert caught.value.hint is not None


def test_a_node_without_run() -> None:
    class Idle(Node):
        pass

    with pytest.raises(NodeTypeError, match="Idle has no method run"):
        NodeType.of(Idle)


def test_a_node_is_checked_and_frozen() -> None:
    """Nothing wrong can be made, and nothing made can be changed."""

    class Steps(Node):
        steps: int = Field(default=1, ge=1)

    for wrong in ({"steps": 0}, {"steps": "3"}, {"steps": 3.0}, {"steps": True}, {"step": 3}):
        with pytest.raises(ValidationError):
            Steps(**wrong)
    with pytest.raises(ValidationError):
        Steps().steps = 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ReferenceLatents", "reference_latents"), ("VAE", "vae"), ("VAEDecode", "vae_decode"), ("int", "int")],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_what_fits() -> None:
    """A subclass fits; an integer fits a number; a truth value is no number."""

    class Special(Latent):
        pass

    assert fits(Special, Latent)
    assert not fits(Latent, Special)
    assert fits(int, float)
    assert not fits(float, int)
    assert not fits(bool, int)
    assert not fits(bool, float)
    assert fits(bool, bool)
    assert fits(Latent, object)


def test_sizes_of_values() -> None:
    assert size_bytes("abc") > 3
    assert size_bytes(object()) > 0
    assert is_storable("abc")
    assert not is_storable(object())
    assert Halves(1, 2).low == 1
    assert NodeType.of(Sum).inputs["values"].is_many


def test_an_output_can_have_the_type_of_an_input() -> None:
    """A type variable says so; its bound is what the input takes."""
    kind = NodeType.of(Same)
    assert kind.inputs["value"].type is int
    assert kind.outputs == (Port("value", int, same_as="value"),)
    assert kind.describe()["outputs"] == {"value": {"type": "int", "same_as": "value"}}
