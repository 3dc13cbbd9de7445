"""What is told of failures and of models, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from limner.comfy.faults import own_words
from limner.comfy.names import client_id
from limner.server.comfy.messages import Failure


def failure_of(body: Mapping[str, Any], types: Mapping[str, str], class_name: Callable[[str], str]) -> Failure:
    """Why a job failed: its first node that did, or what was wrong with all of it.

    ``body`` is that of its last event; ``types`` has the protocol's class by the client's id of each node that ran, and
    ``class_name`` gives that of a node type.
    """
    faults: Sequence[Mapping[str, Any]] = body.get("faults") or ()
    node, kind, node_type = None, "Exception", ""
    for fault in faults:
        if len(path := fault["path"]) > 1 and path[0] == "nodes":
            node, kind = client_id(str(path[1])), fault.get("error", "GraphError")
            node_type = types.get(node) or class_name(fault.get("type", ""))
            break
    text = body.get("message") or "the job failed"
    if (hint := body.get("hint")) and hint not in text:  # what a node raised says it already
        text = f"{text}\n{hint}"
    return Failure(node, node_type, own_words(text, class_name), kind)


def about_model(model: Mapping[str, Any]) -> str | None:
    """What a node says of a model that it waits for, or got; nothing of one that left."""
    match model["event"]:
        case "model_fetching" if model["total_bytes"]:
            return f"fetching {model['model']}: {100 * model['done_bytes'] // model['total_bytes']} %"
        case "model_loading":
            return f"loading {model['model']}"
        case "model_loaded":
            return f"loaded {model['model']} in {model['seconds']:.1f} s"
    return None
