"""Finished values by key: in memory up to a number of bytes, and on disk where it pays."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from limner.engine.errors import StoreError
from limner.engine.keys import UNREPEATABLE
from limner.engine.node import NodeType, Port
from limner.engine.store import Store
from limner.engine.value import Storable, is_storable, size_bytes

S = TypeVar("S", bound=Storable)
log = logging.getLogger(__name__)

ENTRY_BYTES = 200
"""What an entry costs besides its values: its key and its place in the table."""


class Cache:
    """Outputs of nodes by key. Least recently used ones leave memory first; a full disk is reported once."""

    def __init__(self, memory_bytes: int = 1 << 30, store: Store | None = None) -> None:
        self.memory_bytes = memory_bytes
        self.store = store
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[tuple[Any, ...], int]] = OrderedDict()
        self._used_bytes = 0
        self._is_disk_failing = False

    def get(self, key: str, node_type: NodeType) -> tuple[Any, ...] | None:
        """The outputs kept under a key, or None."""
        return self._get(key, node_type.outputs, is_on_disk=node_type.cls.keep == "disk")

    def put(self, key: str, node_type: NodeType, values: tuple[Any, ...]) -> None:
        """Keep outputs as the node's type asks. Never fails: what cannot be kept is computed again another time."""
        keep = node_type.cls.keep
        if keep == "nothing" or key.startswith(UNREPEATABLE):
            return
        self._remember(key, values)
        if keep == "disk" and self.store is not None and all(is_storable(value) for value in values):
            self._on_disk(lambda store: store.put(key, values))

    def get_part(self, key: str, kind: type[S]) -> S | None:
        """A part of a node's work, or None."""
        values = self._get(key, (Port("part", kind),), is_on_disk=True)
        return values[0] if values is not None and isinstance(values[0], kind) else None

    def put_part(self, key: str, value: Storable) -> None:
        """Keep a part of a node's work, in memory and on disk."""
        self._remember(key, (value,))
        self._on_disk(lambda store: store.put(key, (value,)))

    def put_step(self, key: str, step: int, value: Storable) -> None:
        """Keep the state of unfinished work on disk."""
        if key.startswith(UNREPEATABLE):
            return
        self._on_disk(lambda store: store.put_step(key, step, value))

    def get_step(self, key: str, kind: type[S]) -> tuple[int, S] | None:
        """The last state of unfinished work, or None."""
        return None if self.store is None else self.store.get_step(key, kind)

    def drop_step(self, key: str) -> None:
        """Forget the state of work that is finished."""
        self._on_disk(lambda store: store.drop_step(key))

    @property
    def used_bytes(self) -> int:
        """Bytes of the values kept in memory."""
        return self._used_bytes

    def clear(self) -> None:
        """Forget what is in memory."""
        with self._lock:
            self._entries.clear()
            self._used_bytes = 0

    def _get(self, key: str, ports: Sequence[Port], *, is_on_disk: bool) -> tuple[Any, ...] | None:
        with self._lock:
            if (entry := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
                return entry[0]
        if self.store is None or not is_on_disk:
            return None
        values = self.store.get(key, ports)
        if values is not None:
            self._remember(key, values)
        return values

    def _remember(self, key: str, values: Sequence[Any]) -> None:
        size = ENTRY_BYTES + sum(map(size_bytes, values))
        if size > self.memory_bytes:
            return
        with self._lock:
            if (old := self._entries.pop(key, None)) is not None:
                self._used_bytes -= old[1]
            self._entries[key] = tuple(values), size
            self._used_bytes += size
            while self._used_bytes > self.memory_bytes:
                _, (_, freed) = self._entries.popitem(last=False)
                self._used_bytes -= freed

    def _on_disk(self, action: Callable[[Store], None]) -> None:
        if self.store is None:
            return
        try:
            action(self.store)
            self._is_disk_failing = False
        except (StoreError, OSError) as error:
            if not self._is_disk_failing:
                log.warning("%s; going on without it", error)
            self._is_disk_failing = True
