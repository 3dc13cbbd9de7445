"""The graph file: its shape, its JSON schema, and a reader that says where a file is wrong."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from limner.engine.errors import Fault, GraphError
from limner.engine.findings import Findings
from limner.engine.migrate import VERSION, migrate
from limner.engine.offload import AUTO, Offload, OffloadSetting

J = TypeVar("J")


def plain_json(given: J) -> J:
    """What was given, where a file can hold it. Raises ValueError for what JSON has no form for."""
    level: list[Any] = [given]
    for _ in range(MAX_DEPTH):
        level = [part for value in level for part in _parts(value)]
        if not level:
            return given
    raise ValueError("is nested too deeply")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return itertools.chain(value, value.values())
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        value.encode()  # half a surrogate pair cannot be; UnicodeError is a ValueError
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be of finite numbers")
    elif isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise ValueError("has too long an integer")
    elif value is not None and not isinstance(value, (int, float)):
        raise ValueError(f"{type(value).__name__} is no JSON value")
    return ()


MAX_DEPTH = 64
MAX_INTEGER_BITS = 1024
Targets = str | Annotated[list[str], Field(min_length=1)]
NodeId = Annotated[str, Field(pattern=r"^[\w-]+$", max_length=200)]
_SHAPE = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class NodeDocument(BaseModel):
    """One node of a graph file."""

    model_config = _SHAPE

    type: str = Field(description="The node's class name, such as Denoise.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Values of the node's settings.")
    wires: dict[str, str | list[str]] = Field(
        default_factory=dict, description='For each input, "node" or "node.port"; a list where several are taken.'
    )
    device: str = Field(default="auto", description="Where the node computes: auto, cpu, cuda:0, mps.")
    offload: OffloadSetting = Field(default=AUTO, description="What leaves that device while it is not needed.")


class Document(BaseModel):
    """A graph file: nodes joined by wires, and the parameters that make it a template."""

    model_config = _SHAPE

    limner: Literal[1] = Field(default=1, description="The version of this format.")
    name: str = Field(default="graph", max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
    description: str = ""
    parameters: dict[str, Targets] = Field(
        default_factory=dict,
        description='What a caller may set, each naming "node.setting" or "node.wire", or several.',
    )
    nodes: dict[NodeId, NodeDocument] = Field(description="The nodes, by id.")
    outputs: dict[str, str] = Field(
        default_factory=dict, description='Ports that this graph offers when it is a node of another: "node.port".'
    )
    layout: Annotated[dict[str, Any], AfterValidator(plain_json)] = Field(
        default_factory=dict, description="Positions, for editors; never part of a key."
    )

    def to_json(self) -> str:
        """The document as text: defaults left out, two spaces, one trailing newline."""
        body = self.model_dump(exclude_defaults=True, exclude={"limner"})
        return json.dumps({"limner": self.limner, "name": self.name} | body, indent=2, ensure_ascii=False) + "\n"


def read_json(content: bytes | str) -> Any:
    """Parse JSON strictly. Raises GraphError with line and column, and for what JSON does not have.

    Repeated keys, NaN and infinities, nesting past the parser's limit and numbers too long to be meant are faults.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise GraphError([Fault(f"not UTF-8 text (byte {error.start})", hint="save the file as UTF-8")]) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise GraphError([Fault(f"not JSON: {error.msg} at {place}")]) from None
    except RecursionError:
        raise GraphError(
            [Fault("brackets are nested too deeply", hint="a graph is at most a few levels deep")]
        ) from None
    except _RepeatedKey as error:
        raise GraphError(
            [Fault(f"the key {error.key!r} stands twice in one object", hint="rename one of them")]
        ) from None
    except ValueError as error:  # an integer past Python's limit of digits, or a constant that JSON does not have
        raise GraphError([Fault(f"not JSON: {_first_clause(error)}")]) from None


def parse(raw: Any) -> tuple[Document | None, list[Fault]]:
    """The document that ``raw`` (parsed JSON) describes, without the nodes whose shape is wrong, and all faults.

    None where nothing of it can be used. Older versions are migrated first.
    """
    if not isinstance(raw, dict):
        return None, [Fault(f"a graph is a JSON object, not {_kind(raw)}")]
    raw, faults = migrate(raw)
    if faults:
        return None, faults
    try:
        return Document.model_validate(raw), []
    except ValidationError as error:
        details = _of_the_form_given(error.errors(include_url=False, include_input=False, include_context=True))
        findings = Findings()
        faults = [shape_fault(detail, findings=findings) for detail in details]
    broken = {detail["loc"][1] for detail in details if detail["loc"][0] == "nodes" and len(detail["loc"]) > 1}
    heads = {detail["loc"][0] for detail in details if detail["loc"][0] != "nodes" or len(detail["loc"]) == 1}
    nodes = raw.get("nodes")
    if not isinstance(nodes, dict):
        return None, faults
    rest = {key: value for key, value in raw.items() if key not in heads and key != "nodes"}
    good = {name: node for name, node in nodes.items() if name not in broken}
    return Document.model_validate(rest | {"nodes": good}), faults


def _of_the_form_given(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without what says that a list is no text: where both are possible, the fault is in the form that was written."""
    lists = {
        detail["loc"][: detail["loc"].index("list[str]")]
        for detail in details
        if "list[str]" in detail["loc"] and detail["type"] != "list_type"
    }
    return [detail for detail in details if detail["loc"][-1] != "str" or detail["loc"][:-1] not in lists]


def shape_fault(
    detail: ErrorDetails,
    prefix: tuple[str | int, ...] = (),
    known: tuple[str, ...] | None = None,
    *,
    findings: Findings,
) -> Fault:
    """Pydantic's description of one error in the words of our faults: ``steps: at most 1000``.

    ``known`` are the names that would have been right, for the hint on an unknown one; ``findings`` counts those hints.
    """
    loc = tuple(part for part in detail["loc"] if part not in ("[key]", "str", "list[str]"))
    name = (_spelled(loc) if prefix else str(loc[-1])) if loc else "value"
    path = prefix + loc
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        names = known if known is not None else tuple(_model_at(loc).model_fields)
        return Fault(f"{name}: unknown {'setting' if prefix else 'key'}", path, findings.suggest(name, names), kind)
    if kind == "string_pattern_mismatch" and path[:1] == ("nodes",) and len(path) == 2:
        return Fault(f"{name!r} is no id for a node", path, "use letters, digits, _ and -", kind)
    if kind == "string_pattern_mismatch" and path == ("name",):
        return Fault("name: has control characters", path, "write it in one line", kind)
    return Fault(f"{name}: {_rule(kind, context, detail['msg'])}", path, kind=kind)


def _spelled(loc: tuple[str | int, ...]) -> str:
    """A place in a setting: ``subjects[1].color_palette[0]``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _model_at(loc: tuple[str | int, ...]) -> type[BaseModel]:
    """What a place in a document is made after."""
    if loc[0] != "nodes" or len(loc) < 3:
        return Document
    return NodeDocument if len(loc) == 3 else Offload


_RULES = {
    "missing": "is required",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "is too long an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
    "less_than_equal": "at most {le}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "greater_than": "more than {gt}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_long": "at most {max_length} characters",
    "string_unicode": "is not Unicode text",
    "json_invalid": "is not Unicode text",  # settings are JSON that we wrote, so only half characters can be wrong
    "string_too_short": "at least {min_length} characters",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must be of the form {pattern}",
}


def _rule(kind: str, context: dict[str, Any], message: str) -> str:
    if kind == "json_invalid" and "recursion" in message:
        return "is nested too deeply"
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "must not be empty"
    if kind in _RULES:
        return _RULES[kind].format(**context)
    return message.removeprefix("Value error, ")


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


class _RepeatedKey(ValueError):
    def __init__(self, key: str) -> None:
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        raise _RepeatedKey(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]  # set.add is the idiom
    return out


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _first_clause(error: ValueError) -> str:
    return str(error).split(";")[0].split(": value has")[0]


def schema() -> dict[str, Any]:
    """The JSON schema of graph files."""
    out = Document.model_json_schema()
    out["properties"]["nodes"]["additionalProperties"] = False  # ids that do not match the pattern
    out["required"] = ["limner", "nodes"]  # composing a Document fills the version in; a file must say it
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"Limner graph, version {VERSION}"} | {
        key: value for key, value in out.items() if key != "title"
    }
