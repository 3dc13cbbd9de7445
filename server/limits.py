"""How much one client, and all of them together, may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Past each of them a request is refused, with the limit in the message."""

    connections: int = 1024
    streams: int = 512
    """Connections that follow events, or wait for the end of a job."""
    streams_of_client: int = 256
    """Those of one client."""
    followed: int = 200
    """Jobs that one of these follows."""
    waiting: int = 20_000
    """Jobs of one client that wait."""
    nodes: int = 20_000
    """Nodes of a graph."""
    graph_nodes: int = 100
    """Those of them that are graphs, each of which may hold many nodes."""
    upload_bytes: int = 64 << 20
    """Of one file."""
    uploads_bytes: int = 8 << 30
    """Of all files."""
    request_s: float = 60.0
    """How long a request may take that waits for nothing."""
