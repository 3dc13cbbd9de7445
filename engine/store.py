"""The disk store: values by the hash of their content, and which node key gave them."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from limner.engine.errors import StoreError
from limner.engine.node import Port
from limner.engine.prune import LEAVE, prune
from limner.engine.value import PLAIN_TYPES, Storable
from limner.engine.write import write_atomically

S = TypeVar("S", bound=Storable)
log = logging.getLogger(__name__)

LAYOUT = "v1"
MAX_BYTES = 20 * 10**9
"""Of a store that is told no other limit: some thousand pictures of one megapixel with all that made them."""


class Store:
    """A folder of finished values and of checkpoints.

    ``objects/ab/<sha256>.png`` holds a value, named by its content, readable by any program for its format;
    ``keys/ab/<node key>.json`` says which objects are the outputs of a node; ``steps/<node key>/<step>-<sha256>`` is
    the last state of unfinished work. Everything is written atomically. What does not match its hash is deleted and
    counts as absent: a corrupt entry is computed again, never served. Past ``max_bytes`` what was used longest ago
    goes, abandoned work too.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._root = folder / LAYOUT
        self._written_bytes = max_bytes  # nobody knows yet what is there: the first write looks

    def put(self, key: str, values: Sequence[Any]) -> None:
        """Keep the outputs of a node. Raises StoreError."""
        try:
            outputs = [self._put_value(value) for value in values]
            record = {"sha256": _seal(key, outputs), "outputs": outputs}
            write_atomically(self._key_path(key), json.dumps(record).encode(), durable=False)
            self._limit()
        except OSError as error:
            raise StoreError(f"cannot write to the cache in {self.folder}: {error.strerror}") from error

    def get(self, key: str, ports: Sequence[Port]) -> tuple[Any, ...] | None:
        """The outputs of a node; None where they are not all there and sound."""
        record = self._read_record(self._key_path(key))
        if record is None:
            return None
        outputs = record.get("outputs")
        if not isinstance(outputs, list) or len(outputs) != len(ports) or record.get("sha256") != _seal(key, outputs):
            return self._drop(self._key_path(key))
        values = [self._get_value(output, port.type) for output, port in zip(outputs, ports, strict=True)]
        if any(value is None for value in values):
            return self._drop(self._key_path(key))
        return tuple(values)

    def put_step(self, key: str, step: int, value: Storable) -> None:
        """Keep the state of unfinished work after ``step``, in place of an earlier one. Raises StoreError."""
        content = value.to_bytes()
        path = self._step_folder(key) / f"{step}-{_step_digest(key, step, content)}{_extension(value.suffix)}"
        earlier = list(self._step_folder(key).glob("*-*"))
        try:
            write_atomically(path, content)
            self._written_bytes += len(content)
            self._limit()
        except OSError as error:
            raise StoreError(f"cannot write to the cache in {self.folder}: {error.strerror}") from error
        for old in earlier:
            if old != path:
                old.unlink(missing_ok=True)

    def get_step(self, key: str, kind: type[S]) -> tuple[int, S] | None:
        """The last state kept by ``put_step``; None where there is none or it is not sound."""
        found = {}
        for path in self._step_folder(key).glob("*-*"):
            number, _, digest = path.stem.partition("-")
            if number.isdecimal():
                found[int(number)] = path, digest
        for step, (path, digest) in sorted(found.items(), reverse=True):
            content = self._read_sound(path, partial(_step_digest, key, step), digest)
            value = None if content is None else _revive(kind, content)
            if isinstance(value, kind):
                return step, value
        return None

    def drop_step(self, key: str) -> None:
        """Forget unfinished work: it is finished."""
        shutil.rmtree(self._step_folder(key), ignore_errors=True)

    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self._files())

    def count(self) -> int:
        """How many results are kept: outputs of nodes, and parts of their work."""
        return sum(1 for _ in (self._root / "keys").glob("*/*.json"))

    def clear(self) -> None:
        """Delete everything that was kept. Raises StoreError."""
        try:
            if self._root.exists():
                shutil.rmtree(self._root)
        except OSError as error:
            raise StoreError(f"cannot clear the cache in {self.folder}: {error.strerror}") from error

    def _limit(self) -> None:
        """Make room, where enough was written since the last look that it may be needed."""
        if self._written_bytes > self.max_bytes * (1 - LEAVE):
            prune(self._root, self.max_bytes)
            self._written_bytes = 0

    def _files(self) -> Iterator[Path]:
        return (path for path in self._root.rglob("*") if path.is_file())

    def _put_value(self, value: Any) -> dict[str, Any]:
        if isinstance(value, PLAIN_TYPES):
            return {"plain": value}
        content = value.to_bytes()
        digest = sha256(content).hexdigest()
        path = self._object_path(digest, value.suffix)
        if not path.exists():
            self._written_bytes += len(content)
            write_atomically(path, content, durable=False)  # what a power cut tears does not match its name
        return {"object": digest, "suffix": value.suffix, "type": type(value).__name__}

    def _get_value(self, record: Any, kind: type) -> Any:
        """The value of a record; None where its object is absent, altered or not of this kind."""
        match record:
            case {"plain": value} if isinstance(value, PLAIN_TYPES) and isinstance(value, kind):
                return value
            case {"object": str(digest), "suffix": str(suffix), "type": str(name)} if digest.isalnum():
                cls = _class_called(name, kind)
                path = self._object_path(digest, suffix)
                content = self._read_sound(path, lambda read: sha256(read).hexdigest(), digest)
                return None if cls is None or content is None else _revive(cls, content)
        return None

    def _read_sound(self, path: Path, digest_of: Callable[[bytes], str], digest: str) -> bytes | None:
        """A file's content; None where there is none, or it is not what its name says: then it is deleted."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if digest_of(content) == digest:
            _touch(path)
            return content
        log.warning("a cache entry was damaged and is computed again: %s", path.name)
        return self._drop(path)

    def _read_record(self, path: Path) -> dict[str, Any] | None:
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return self._drop(path)
        if not isinstance(record, dict):
            return self._drop(path)
        _touch(path)
        return record

    @staticmethod
    def _drop(path: Path) -> None:
        with suppress(OSError):  # a folder that may only be read: what is damaged stays, and is never served
            path.unlink()

    def _key_path(self, key: str) -> Path:
        return self._root / "keys" / key[:2] / f"{key}.json"

    def _step_folder(self, key: str) -> Path:
        return self._root / "steps" / key

    def _object_path(self, digest: str, suffix: str) -> Path:
        return self._root / "objects" / digest[:2] / f"{digest}{_extension(suffix)}"


def _touch(path: Path) -> None:
    """Say that a file was used now: what was used longest ago goes first."""
    with suppress(OSError):  # a folder that may only be read
        os.utime(path)


def _seal(key: str, outputs: Any) -> str:
    """The checksum of a record: it belongs to this key and says what was written."""
    return sha256(json.dumps([key, outputs]).encode()).hexdigest()


def _step_digest(key: str, step: int, content: bytes) -> str:
    """The checksum of a state: of this work, after this step."""
    return sha256(b"%s/%d/" % (key.encode(), step) + content).hexdigest()


def _extension(suffix: str) -> str:
    """``.png``; nothing where a suffix could mean more than the end of a name."""
    return suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,16}", suffix) else ""


def _revive(cls: type[S], content: bytes) -> S | None:
    """The value of a sound content; None where it was written in another form, as another release may."""
    try:
        return cls.from_bytes(content)
    except Exception as error:  # readers of pictures and tensors raise many kinds
        log.warning("a cache entry cannot be read and is computed again: %s: %s", type(error).__name__, error)
        return None


def _class_called(name: str, base: type) -> type[Storable] | None:
    """``base`` or the subclass of it with this name: what is read back is never looked up anywhere else."""
    waiting = [base]
    while waiting:
        cls = waiting.pop()
        if cls.__name__ == name and hasattr(cls, "from_bytes"):
            return cast("type[Storable]", cls)
        waiting.extend(cls.__subclasses__())
    return None
