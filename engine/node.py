"""What a node is: settings are fields, wires are the parameters of ``run``, outputs are what it returns."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, create_model

from limner.engine.device import Device
from limner.engine.errors import NodeTypeError
from limner.engine.inline import inlined

if TYPE_CHECKING:
    from limner.engine.forecast import Forecast

Keep = Literal["nothing", "memory", "disk"]

NO_WIRES: Final[Mapping[str, int]] = types.MappingProxyType({})
"""Of a node on its own."""


class Node(BaseModel):
    """The base of every node.

    A subclass declares settings as pydantic fields and a method ``run(self, ctx, <wires>) -> <outputs>``, plain or
    ``async``. It is immutable and checked when it is made: ``Denoise(steps=0)`` raises.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    version: ClassVar[int] = 1
    """Raise it when the same settings give another result: old cache entries are then no longer found."""
    category: ClassVar[str] = "other"
    """Where lists and editors show the node."""
    on_device: ClassVar[bool] = False
    """Whether ``run`` computes on a device. Such nodes take turns on it; others run beside them."""
    effect: ClassVar[bool] = False
    """Whether ``run`` changes the world (writes a file). Such a node runs each time, never from the cache."""
    keep: ClassVar[Keep] = "memory"
    """Where the cache keeps the outputs: ``disk`` for what is dear to compute and cheap to keep."""
    not_in_key: ClassVar[frozenset[str]] = frozenset()
    """Settings that change how the outputs are got and never what they are, such as a timeout."""
    added: ClassVar[frozenset[str]] = frozenset()
    """Settings that came later, and whose default is how it was before: with it, they are no part of a key either."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other words that people look for the node by, such as what other programs call it."""
    advanced: ClassVar[frozenset[str]] = frozenset()
    """Settings that few need: editors show them when asked."""
    shows: ClassVar[bool] = False
    """Whether the node is there for its outputs to be looked at, also where they go on to other nodes."""
    writes_to: ClassVar[frozenset[str]] = frozenset()
    """Settings that are paths which ``run`` writes: a service has them lead into a folder of its own."""

    only_for_run: ClassVar[frozenset[str]] = frozenset()
    """Settings that nothing but ``run`` looks at: where a wire brings one that is not known yet, all else still is."""

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """Faults that the type of a setting cannot express, as (setting, message). Must be quick and load nothing.

        ``wired`` are the inputs that wires lead to, and how many each.
        """
        return iter(())

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """Of settings that name what this machine has, such as files, those that are there now: for editors to offer.

        Another value is no fault by itself: ``problems`` judges it. Must be quick.
        """
        return {}

    def device_problems(self, device: Device) -> Iterator[tuple[str, str]]:
        """What of the settings cannot be had on the device that the node computes on, as (setting, message)."""
        return iter(())

    def known_outputs(self) -> tuple[Any, ...] | None:
        """The outputs, where no running is needed to know them, as for a plain value; else None."""
        return None

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """What ``run`` would hold, need and give on ``device``; None where nothing can be said. Must load nothing.

        ``inputs`` has what is known of each wired input (None where nothing is): what the nodes before it forecast.
        Raises GraphError, with paths that begin at the node, where what is wired to it can never do; other
        LimnerErrors where nothing can be said, because a model cannot be found.
        """
        return None

    def fingerprint(self) -> str:
        """What the outputs depend on besides settings and wires, such as the content of a file named in a setting.

        It is taken before ``run`` and again after it: where it differs, the file changed in between and the node fails.
        """
        return ""

    def sources(self) -> Mapping[str, str]:
        """What the fingerprint stands for, for people and for other machines: what is read, and what it holds.

        Equal contents are equal texts wherever they lie, which a fingerprint need not promise. Pictures carry it.
        """
        text = self.fingerprint()
        return {"content": f"sha256:{sha256(text.encode()).hexdigest()}"} if text else {}


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a wire: an input with its rules, or an output."""

    name: str
    type: type
    is_optional: bool = False
    is_many: bool = False
    same_as: str | None = None
    """For an output declared as a type variable: the input whose type it takes on, whatever is wired there."""
    also_as: tuple[str, ...] = ()
    """The other inputs of that variable: the output may have the type of any of them."""

    @property
    def label(self) -> str:
        """The wire type as people read it: ``Latent``, ``list of Image``."""
        return f"list of {self.type.__name__}" if self.is_many else self.type.__name__


@dataclass(frozen=True)
class NodeType:
    """A node class, read once: its inputs, outputs and settings."""

    name: str
    cls: type[Node]
    inputs: Mapping[str, Port]
    outputs: tuple[Port, ...]
    is_async: bool

    @classmethod
    def of(cls, node: type[Node]) -> NodeType:
        """Read a node class. Raises NodeTypeError that says what is wrong with the declaration."""
        run = getattr(node, "run", None)
        if not inspect.isfunction(run):
            raise NodeTypeError(f"{node.__name__} has no method run(self, ctx, ...)")
        try:
            hints = typing.get_type_hints(run)
        except NameError as error:
            raise NodeTypeError(
                f"{node.__name__}.run: {error}", hint="import wire types outside TYPE_CHECKING"
            ) from error
        except Exception as error:
            raise NodeTypeError(f"{node.__name__}.run: its type hints cannot be read: {error}") from error
        parameters = list(inspect.signature(run).parameters.values())[1:]
        if not parameters or parameters[0].name != "ctx" or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise NodeTypeError(f"{node.__name__}.run must take ctx first")
        if "return" not in hints:
            raise NodeTypeError(f"{node.__name__}.run must say what it returns (None for nothing)")
        inputs = {p.name: _input_port(node, p, hints) for p in parameters[1:]}
        if both := sorted(set(inputs) & set(node.model_fields)):
            raise NodeTypeError(f"{node.__name__}: {', '.join(both)} is both a setting and a wire")
        is_async = inspect.iscoroutinefunction(run)
        if is_async and node.on_device:
            raise NodeTypeError(
                f"{node.__name__}: an async run cannot be on_device: async nodes take no turns",
                hint="write def run, or split off the part that waits into a node of its own",
            )
        variables: dict[Any, list[Port]] = {}
        for name, hint in hints.items():
            if name in inputs and isinstance(hint, TypeVar):
                variables.setdefault(hint, []).append(inputs[name])
        return cls(node.__name__, node, inputs, _output_ports(node, hints["return"], variables), is_async)

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.cls) or self.name).splitlines()[0]

    def describe(self) -> dict[str, Any]:
        """The type as JSON can hold it, for programs that list nodes."""
        return {
            "name": self.name,
            "category": self.cls.category,
            "version": self.cls.version,
            "description": inspect.getdoc(self.cls) or "",
            "inputs": {
                p.name: {"type": p.type.__name__, "optional": p.is_optional, "many": p.is_many}
                for p in self.inputs.values()
            },
            "outputs": {
                p.name: {"type": p.type.__name__} | ({"same_as": p.same_as} if p.same_as else {}) for p in self.outputs
            },
            "settings": dict(self.settings_schema.get("properties", {})),
        }

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Pydantic's field descriptions, by setting."""
        return self.cls.model_fields

    @cached_property
    def key_prefix(self) -> bytes:
        """What every cache key of this type begins with."""
        return f"{self.cls.__module__}.{self.name}\0{self.cls.version}\0".encode()

    def output(self, name: str | None) -> int:
        """The index of an output; the only one where ``name`` is None. Raises KeyError."""
        return self._output_index[name]

    @cached_property
    def _output_index(self) -> Mapping[str | None, int]:
        named: dict[str | None, int] = {port.name: index for index, port in enumerate(self.outputs)}
        return named | ({None: 0} if len(self.outputs) == 1 else {})

    @cached_property
    def required(self) -> tuple[Port, ...]:
        """The inputs that must be wired."""
        return tuple(port for port in self.inputs.values() if not port.is_optional)

    def setting_type(self, name: str) -> type | None:
        """The plain type that may be wired into a setting; None where a setting cannot be wired."""
        args, _ = _strip_optional(self.settings[name].annotation)
        origin = get_origin(args)
        if origin is Literal:
            args = type(get_args(args)[0])
        return args if isinstance(args, type) and args in (str, int, float, bool) else None

    def partial(self, wired: frozenset[str]) -> type[BaseModel]:
        """The settings without those that a wire will bring, to check the rest before running."""
        return _partial_model(self.cls, wired)

    @cached_property
    def settings_schema(self) -> Mapping[str, Any]:
        """The JSON schema of the settings, without references."""
        return inlined(self.cls.model_json_schema())


def _input_port(node: type[Node], parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Port:
    if parameter.name not in hints or parameter.kind not in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    ):
        raise NodeTypeError(f"{node.__name__}.run: parameter {parameter.name} needs a name and a type")
    hint, _ = _strip_optional(hints[parameter.name])
    if isinstance(hint, TypeVar) and hint is hints[parameter.name]:
        hint = get_origin(hint.__bound__) or hint.__bound__  # what flows through keeps its own class
    is_many = get_origin(hint) is list and len(get_args(hint)) == 1
    if is_many:
        (hint,) = get_args(hint)
    if not _is_wire_type(hint):
        raise NodeTypeError(
            f"{node.__name__}.run: {parameter.name} must be a class, T | None, or list[T]; it is {hint}"
        )
    return Port(parameter.name, hint, is_optional=parameter.default is not parameter.empty, is_many=is_many)


def _output_ports(node: type[Node], hint: Any, variables: Mapping[Any, Sequence[Port]]) -> tuple[Port, ...]:
    if hint is type(None) or hint is None:
        return ()
    if isinstance(hint, TypeVar) and hint in variables:
        *others, source = variables[hint]
        return (Port(source.name, source.type, same_as=source.name, also_as=tuple(port.name for port in others)),)
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        fields = typing.get_type_hints(hint)
        if odd := [f"{name}: {fields[name]}" for name in hint._fields if not _is_wire_type(fields[name])]:
            raise NodeTypeError(f"{node.__name__}.run: each output must be a class; {', '.join(odd)}")
        return tuple(Port(name, fields[name]) for name in hint._fields)
    if _is_wire_type(hint):
        return (Port(snake_case(hint.__name__), hint),)
    raise NodeTypeError(f"{node.__name__}.run must return a class, a NamedTuple or None; it says {hint}")


def _is_wire_type(hint: Any) -> bool:
    """Whether wires can be checked against it: a class, but no generic, no protocol and not Any."""
    return (
        isinstance(hint, type)
        and get_origin(hint) is None
        and hint is not Any
        and not getattr(hint, "_is_protocol", False)
    )


def _strip_optional(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return hint, False


def snake_case(name: str) -> str:
    """``ReferenceLatents`` -> ``reference_latents``, ``VAE`` -> ``vae``."""
    out = []
    for index, char in enumerate(name):
        before_lower = index + 1 < len(name) and name[index + 1].islower()
        if char.isupper() and index and (name[index - 1].islower() or before_lower):
            out.append("_")
        out.append(char.lower())
    return "".join(out)


@lru_cache(maxsize=1024)
def _partial_model(node: type[Node], wired: frozenset[str]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in node.model_fields.items() if name not in wired
    }
    return create_model(f"{node.__name__}Settings", __config__=node.model_config, **fields)
