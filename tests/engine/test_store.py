"""The disk store: what was kept comes back equal or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.engine.node import Port
from limner.engine.store import Store

KEY, OTHER = "ab" + "0" * 62, "cd" + "1" * 62


@dataclass(frozen=True)
class Blob:
    """A value with a file form of its own."""

    content: bytes
    suffix: ClassVar[str] = ".blob"

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def to_bytes(self) -> bytes:
        return b"blob:" + self.content

    @classmethod
    def from_bytes(cls, content: bytes) -> Blob:
        if not content.startswith(b"blob:"):
            raise KeyError("readers raise many kinds")
        return cls(content[5:])


class Picture(Blob):
    """A kind of blob: a port of the base gets it back as what it was."""


class Stranger(Blob):
    pass


PORTS = (Port("blob", Blob), Port("count", int))
VALUES = (Blob(b"hello"), 7)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


@given(
    number=st.integers(),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    flag=st.booleans(),
    content=st.binary(),
)
def test_values_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, number: int, text: str, flag: bool, content: bytes
) -> None:
    """Plain values and storable ones come back equal, from another store over the same folder."""
    folder = tmp_path_factory.mktemp("store")
    ports = (Port("a", int), Port("b", str), Port("c", bool), Port("d", float), Port("e", Blob))
    values = (number, text, flag, number / 7 if abs(number) < 1e300 else 0.1, Picture(content))
    Store(folder).put(KEY, values)
    again = Store(folder).get(KEY, ports)
    assert again == values
    assert type(again[4]) is Picture


def test_objects_are_files_of_their_format(store: Store) -> None:
    """A value lies under the hash of its content, with its suffix, once for equal values."""
    store.put(KEY, VALUES)
    store.put(OTHER, (Blob(b"hello"),))
    (path,) = files(store.folder, "*.blob")
    assert path.read_bytes() == b"blob:hello"
    assert store.count() == 2
    assert store.size_bytes() > 10
    store.clear()
    assert (store.count(), store.size_bytes()) == (0, 0)
    assert store.get(KEY, PORTS) is None


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[:-3],
    "empty": lambda content: b"",
    "flipped": flip,
    "longer": lambda content: content + b"x",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("what", ["objects", "keys"])
def test_a_damaged_file_is_dropped(store: Store, what: str, damage: str) -> None:
    """It is never served, it is deleted, and the entry can be written again."""
    store.put(KEY, VALUES)
    (path,) = files(store.folder / "v1" / what, "*")
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert store.get(KEY, PORTS) is None
    assert not path.exists()
    store.put(KEY, VALUES)
    assert store.get(KEY, PORTS) == VALUES


@given(data=st.data())
def test_no_flipped_bit_is_served(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whichever bit of whichever file changes: the values come back as they were, or not at all."""
    store = Store(tmp_path_factory.mktemp("store"))
    store.put(KEY, VALUES)
    path = data.draw(st.sampled_from(files(store.folder, "*")))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert store.get(KEY, PORTS) in (None, VALUES)


def test_a_gone_object_is_no_entry(store: Store) -> None:
    store.put(KEY, VALUES)
    files(store.folder, "*.blob")[0].unlink()
    assert store.get(KEY, PORTS) is None


def test_swapped_files_are_not_served(store: Store) -> None:
    """Neither another entry's record nor another object in its place gives a wrong value."""
    store.put(KEY, VALUES)
    store.put(OTHER, (Blob(b"other"), 8))
    records = files(store.folder / "v1" / "keys", "*.json")
    mine, theirs = (next(path for path in records if path.stem == key) for key in (KEY, OTHER))
    saved = mine.read_bytes()
    mine.write_bytes(theirs.read_bytes())
    assert store.get(KEY, PORTS) is None
    mine.write_bytes(saved)
    first, second = files(store.folder, "*.blob")
    first.write_bytes(second.read_bytes())
    assert (store.get(KEY, PORTS) is None) != (store.get(OTHER, PORTS) is None)


@pytest.mark.parametrize("ports", [(), PORTS[:1], (Port("blob", Stranger), Port("count", int)), PORTS[::-1]])
def test_values_of_other_ports_are_not_served(store: Store, ports: tuple[Port, ...]) -> None:
    """Values come back only as the classes that the node's type says."""
    store.put(KEY, VALUES)
    assert store.get(KEY, ports) is None


def seal(outputs: object) -> str:
    from limner.engine.store import _seal

    return _seal(KEY, outputs)


HOSTILE = [
    [{"object": "../../secret", "suffix": "", "type": "Blob"}, {"plain": 7}],
    [{"object": "/etc/passwd", "suffix": "", "type": "Blob"}, {"plain": 7}],
    [{"object": "a" * 5000, "suffix": ".blob", "type": "Blob"}, {"plain": 7}],
    [{"object": "aa", "suffix": "/../../../secret", "type": "Blob"}, {"plain": 7}],
    [{"object": "aa", "suffix": ".\0", "type": "Blob"}, {"plain": 7}],
    [{"object": 3, "suffix": ".blob", "type": "Blob"}, {"plain": 7}],
    [{"object": "aa", "suffix": ".blob", "type": "Path"}, {"plain": 7}],
    [{"plain": "text"}, {"plain": 7}],
    [{"plain": {"a": 1}}, {"plain": []}],
    [None, None],
    ["x", 7],
    {"a": 1},
    "text",
    None,
]


@pytest.mark.parametrize("outputs", HOSTILE)
def test_a_hostile_record_reads_nothing(store: Store, outputs: object) -> None:
    """A record that was made up, even with a right checksum, leads to no other file and to no value."""
    (store.folder / "secret").write_bytes(b"blob:secret")
    store.put(KEY, VALUES)
    (path,) = files(store.folder / "v1" / "keys", "*.json")
    path.write_text(json.dumps({"sha256": seal(outputs), "outputs": outputs}))
    assert store.get(KEY, PORTS) is None
    assert (store.folder / "secret").exists()


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"3", b"null", b"\xff", b"9" * 5000, b'{"outputs": NaN}'])
def test_a_record_that_is_none(store: Store, content: bytes) -> None:
    store.put(KEY, VALUES)
    (path,) = files(store.folder / "v1" / "keys", "*.json")
    path.write_bytes(content)
    assert store.get(KEY, PORTS) is None
    path.unlink(missing_ok=True)
    path.mkdir()
    assert store.get(KEY, PORTS) is None


def test_the_newest_checkpoint_is_kept(store: Store) -> None:
    """One state a key: the last one put. It is no output, and an output is no checkpoint."""
    for step in (1, 9, 10):
        store.put_step(KEY, step, Blob(b"%d" % step))
    assert store.get_step(KEY, Blob) == (10, Blob(b"10"))
    assert len(files(store.folder, "*.blob")) == 1
    assert store.get(KEY, PORTS[:1]) is None
    store.put(OTHER, VALUES)
    assert store.get_step(OTHER, Blob) is None
    store.drop_step(KEY)
    assert store.get_step(KEY, Blob) is None
    store.drop_step(KEY)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_a_fresh_start(store: Store, damage: str) -> None:
    store.put_step(KEY, 4, Blob(b"state"))
    (path,) = files(store.folder, "*.blob")
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert store.get_step(KEY, Blob) is None


def test_a_checkpoint_belongs_to_its_work_and_step(store: Store) -> None:
    """A state moved to other work, or renamed to another step, is not resumed from."""
    store.put_step(KEY, 4, Blob(b"state"))
    (path,) = files(store.folder, "*.blob")
    other = path.parent.parent / OTHER
    other.mkdir()
    (other / path.name).write_bytes(path.read_bytes())
    (path.parent / path.name.replace("4-", "5-", 1)).write_bytes(path.read_bytes())
    assert store.get_step(OTHER, Blob) is None
    assert store.get_step(KEY, Blob) == (4, Blob(b"state"))
