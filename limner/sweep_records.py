"""Which variants of a sweep were finished earlier: their files are there, and are what running again would write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from limner.engine.errors import LimnerError, StoreError
from limner.engine.flat import flat_ids
from limner.engine.keys import UNREPEATABLE
from limner.engine.node import Port
from limner.engine.plan import Plan
from limner.engine.store import Store
from limner.engine.user_path import user_path

_PORT = Port("files", str)


class Records:
    """The files of finished variants with their hashes, by what the variant depends on, kept in the disk cache.

    A picture is also known by the keys that it carries itself, so that one whose writing was the last that a killed
    run did is not written twice. Without a store nothing is known.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store

    def find(self, plan: Plan, keys: Sequence[str]) -> tuple[str, ...] | None:
        """The files that a variant has written; None where it must run."""
        if self._store is None or any(key.startswith(UNREPEATABLE) for key in keys):
            return None
        found = self._store.get(_key(plan, keys), [_PORT])
        if found is None:
            path = _own_picture(plan, keys)
            return None if path is None else (path,)
        hashes: Mapping[str, str] = json.loads(found[0])
        is_there = all(_hash(Path(path)) == digest for path, digest in hashes.items())
        return tuple(hashes) if is_there else None

    def keep(self, plan: Plan, keys: Sequence[str], files: Sequence[str]) -> None:
        """Note that a variant is finished. What cannot be noted runs again another time."""
        if self._store is None or not files:
            return
        hashes = {path: _hash(Path(path)) for path in files}
        if None in hashes.values():
            return
        try:
            self._store.put(_key(plan, keys), [json.dumps(hashes)])
        except StoreError:  # the cache has said so itself
            return


def _key(plan: Plan, keys: Sequence[str]) -> str:
    goals = [keys[goal] for goal in plan.goals]
    return sha256("\0".join(["variant", *goals]).encode()).hexdigest()


def _hash(path: Path) -> str | None:
    """Of a file's content; None where there is none, or it is a folder."""
    try:
        with path.open("rb") as file:
            digest = sha256()
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        return None
    return digest.hexdigest()


def _own_picture(plan: Plan, keys: Sequence[str]) -> str | None:
    """The picture of a plan that writes one file and nothing else, where it carries these very keys."""
    from limner.nodes.provenance import read_provenance

    writers = [step.node for step in plan.steps if step.node.type.cls.effect]
    if len(writers) != 1 or writers[0].type.name != "SaveImage" or writers[0].node is None:
        return None
    name = str(writers[0].settings.model_dump()["path"])
    ids = flat_ids(plan.graph)
    wanted = {ids[step.node.id]: key for step, key in zip(plan.steps, keys, strict=True)}
    try:
        path = user_path(name)
        return str(path) if path.is_file() and read_provenance(path).keys == wanted else None
    except LimnerError:
        return None
