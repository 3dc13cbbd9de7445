"""What of a run is in the log: its models and failures; each node, and what nodes say, at the level debug."""

from __future__ import annotations

import logging
from typing import Final

from limner.engine import events as ev

_FOR_DEBUG: Final = (ev.NodeStarted, ev.NodeFinished, ev.NodeCached, ev.NodeProgress)
_log = logging.getLogger("limner.server.jobs")


def log_event(event: ev.Event) -> None:
    """Write a line where an event is worth one. What a node says may quote a prompt, so it is for debug."""
    if isinstance(event, _FOR_DEBUG) and not _log.isEnabledFor(logging.DEBUG):
        return
    match event:
        case ev.NodeStarted(node=node, type=kind, lane=lane):
            _log.debug("node begun", extra={"node": node, "type": kind, "lane": lane})
        case ev.NodeFinished(node=node, seconds=seconds):
            _log.debug("node finished", extra={"node": node, "seconds": seconds})
        case ev.NodeCached(node=node):
            _log.debug("node found in the cache", extra={"node": node})
        case ev.NodeWarned(node=node, message=message):
            _log.debug("node warned", extra={"node": node, "said": message})
        case ev.NodeFailed(node=node, message=message):
            _log.warning("node failed", extra={"node": node})
            _log.debug("why it failed", extra={"node": node, "said": message})
        case ev.ModelLoaded(node=node, model=model, device=device, size_bytes=size_bytes, seconds=seconds):
            about = {"model": model, "device": device, "size_bytes": size_bytes, "seconds": seconds}
            _log.info("model loaded", extra={"node": node, **about})
        case ev.ModelDropped(node=node, model=model, device=device):
            _log.info("model dropped", extra={"node": node, "model": model, "device": device})
