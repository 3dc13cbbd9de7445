"""What the socket says, in the protocol's shapes: one function a message, and one a binary frame."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

NodeState = Literal["running", "finished", "error"]
Output = Mapping[str, Sequence[Any]]
"""What a node shows: ``images`` and ``files`` by name, ``text``."""

_quoted: Final = json.encoder.encode_basestring_ascii
_STATES: Final = 1000
"""Nodes that one message tells of."""
_FORMATS: Final = {"image/jpeg": 1, "image/png": 2}
_PICTURE, _TEXT, _PICTURE_WITH_METADATA = 1, 3, 4
"""Kinds of binary frames."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, as far as one node can be named."""

    node: str | None
    node_type: str
    message: str
    kind: str
    """The name of the error, such as ``InputError``."""


def message(kind: str, **fields: Any) -> str:
    """A message as text."""
    return json.dumps({"type": kind, "data": fields}, separators=(",", ":"))


def status(waiting: int, sid: str | None = None) -> str:
    """How many jobs wait or run; the first one says what the socket's client is called."""
    own = {} if sid is None else {"sid": sid}
    return message("status", status={"exec_info": {"queue_remaining": waiting}}, **own)


def started(prompt_id: str, time_s: float) -> str:
    """A job begins, or begins again."""
    return message("execution_start", prompt_id=prompt_id, timestamp=as_ms(time_s))


def cached(prompt_id: str, nodes: Collection[str], time_s: float) -> str:
    """Nodes that need not run."""
    return message("execution_cached", nodes=list(nodes), prompt_id=prompt_id, timestamp=as_ms(time_s))


def executing(prompt_id: str, node: str | None) -> str:
    """The node that runs; None where the job is over, which is what scripts wait for."""
    return message("executing", node=node, display_node=node, prompt_id=prompt_id)


def progress(prompt_id: str, node: str, step: int, total: int) -> str:
    """A step of a node."""
    return message("progress", value=step, max=total, prompt_id=prompt_id, node=node)


def progress_state(prompt_id: str, nodes: Mapping[str, tuple[NodeState, int, int]]) -> list[str]:
    """How far nodes are: those that changed. Of very many in several messages, for clients that take none of 1 MiB."""
    own = _quoted(prompt_id)
    states = [_state(_quoted(node), own, *so_far) for node, so_far in nodes.items()]
    parts = (",".join(states[begin : begin + _STATES]) for begin in range(0, len(states), _STATES))
    return [f'{{"type":"progress_state","data":{{"prompt_id":{own},"nodes":{{{part}}}}}}}' for part in parts]


def _state(node: str, prompt: str, state: NodeState, value: int, most: int) -> str:
    """What is said of each node of a large graph is not put together field by field."""
    return (
        f'{node}:{{"value":{value},"max":{most},"state":"{state}","node_id":{node},"prompt_id":{prompt},'
        f'"display_node_id":{node},"parent_node_id":null,"real_node_id":{node}}}'
    )


def gave_nothing(prompt_id: str, nodes: Iterable[str]) -> list[str]:
    """Nodes are done, and show nothing: a message each."""
    end = f'"output":{{}},"prompt_id":{_quoted(prompt_id)}}}}}'
    quoted = map(_quoted, nodes)
    return [f'{{"type":"executed","data":{{"node":{node},"display_node":{node},{end}' for node in quoted]


def executed(prompt_id: str, node: str, output: Output) -> str:
    """A node is done, and shows this."""
    return message("executed", node=node, display_node=node, output=output, prompt_id=prompt_id)


def succeeded(prompt_id: str, time_s: float) -> str:
    """A job is completed."""
    return message("execution_success", prompt_id=prompt_id, timestamp=as_ms(time_s))


def interrupted(prompt_id: str, node: str | None, node_type: str, done: Collection[str], time_s: float) -> str:
    """A job was cancelled, while this node ran."""
    return message(
        "execution_interrupted",
        prompt_id=prompt_id,
        node_id=node,
        node_type=node_type,
        executed=list(done),
        timestamp=as_ms(time_s),
    )


def failed(prompt_id: str, failure: Failure, done: Collection[str], time_s: float) -> str:
    """A job failed."""
    return message("execution_error", **error_fields(prompt_id, failure), executed=list(done), timestamp=as_ms(time_s))


def error_fields(prompt_id: str, failure: Failure) -> dict[str, Any]:
    """A failure as the socket and the history tell it. What led to it inside is for the server's log."""
    return {
        "prompt_id": prompt_id,
        "node_id": failure.node,
        "node_type": failure.node_type,
        "exception_message": failure.message,
        "exception_type": failure.kind,
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
    }


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A frame whose picture is read when it is sent."""

    head: bytes
    """What goes before it."""
    sha256: str


Message = str | bytes | StoredPicture


def picture(content: bytes, media_type: str) -> bytes:
    """A preview, for clients that know nothing else."""
    return struct.pack(">II", _PICTURE, _FORMATS[media_type]) + content


def picture_of(prompt_id: str, node: str, media_type: str, content: bytes) -> bytes:
    """A preview that says which node it is of."""
    about = {
        "node_id": node,
        "display_node_id": node,
        "parent_node_id": None,
        "real_node_id": node,
        "prompt_id": prompt_id,
        "image_type": media_type,
    }
    text = json.dumps(about, separators=(",", ":")).encode()
    return struct.pack(">II", _PICTURE_WITH_METADATA, len(text)) + text + content


def text_of(node: str, text: str, prompt_id: str | None = None) -> bytes:
    """What a node says while it runs. Clients that know this form are told of which job."""
    names = [name.encode() for name in (prompt_id, node) if name is not None]
    return struct.pack(">I", _TEXT) + b"".join(struct.pack(">I", len(n)) + n for n in names) + text.encode()


def as_ms(time_s: float) -> int:
    """Seconds since 1970 as the protocol tells them."""
    return int(time_s * 1000)
