"""The disk store when writing is cut short: by a kill, a full disk, or a folder that takes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from test_store import KEY, PORTS, VALUES, Blob, files

from limner.engine.errors import StoreError
from limner.engine.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


WRITER = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_store import Blob
from limner.engine.store import Store
store, number = Store(Path(sys.argv[1])), 0
print("ready", flush=True)
while True:
    number += 1
    key = f"{{number % 40:064d}}"
    store.put(key, (Blob(b"%d" % (number % 40) * 4000), number % 40))
    store.put_step("9" * 64, number, Blob(b"%d" % number * 4000))
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    code = textwrap.dedent(code).format(path=[str(Path(__file__).parent)])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_writer_leaves_the_store_readable(store: Store) -> None:
    """Kill -9 at any moment: each entry is whole or absent, and the last checkpoint is there."""
    for attempt in range(6):
        with start(WRITER, store.folder) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.01 + attempt * 0.017)
            child.send_signal(signal.SIGKILL)
        for number in range(40):
            values = store.get(f"{number:064d}", PORTS)
            assert values in (None, (Blob(b"%d" % number * 4000), number))
        found = store.get_step("9" * 64, Blob)
        if found is not None:
            assert found[1] == Blob(b"%d" % found[0] * 4000)
    assert found is not None


FULL = """
import resource, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_store import Blob, KEY
from limner.engine.errors import StoreError
from limner.engine.store import Store
from limner.engine.write import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
folder = Path(sys.argv[1])
for action in (
    lambda: Store(folder).put(KEY, (Blob(bytes(30_000)), 1)),
    lambda: Store(folder).put_step(KEY, 2, Blob(bytes(30_000))),
    lambda: write_atomically(folder / "picture", bytes(30_000)),
):
    try:
        action()
    except (StoreError, OSError) as error:
        print(type(error).__name__, "too large" in str(error))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no limit on the size of files")
def test_a_full_disk_changes_nothing(store: Store) -> None:
    """When no more can be written, what was there stays, no half file is left, and the error says why."""
    store.put(KEY, VALUES)
    store.put_step(KEY, 1, Blob(b"state"))
    (store.folder / "picture").write_bytes(b"old")
    before = {path: path.read_bytes() for path in files(store.folder, "*")}
    with start(FULL, store.folder) as child:
        out, err = child.communicate(timeout=20)
    assert out.splitlines() == ["StoreError True", "StoreError True", "OSError True"], err
    assert {path: path.read_bytes() for path in files(store.folder, "*")} == before
    assert store.get(KEY, PORTS) == VALUES
    assert store.get_step(KEY, Blob) == (1, Blob(b"state"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is a file: reading finds nothing, writing says where."""
    (tmp_path / "cache").write_text("not a folder")
    store = Store(tmp_path / "cache")
    assert store.get(KEY, PORTS) is None
    assert store.get_step(KEY, Blob) is None
    with pytest.raises(StoreError, match="cache"):
        store.put(KEY, VALUES)
    with pytest.raises(StoreError, match="cache"):
        store.put_step(KEY, 1, Blob(b""))


@pytest.mark.skipif(os.name != "posix", reason="links need no rights only here")
def test_no_partial_file_is_ever_visible(store: Store) -> None:
    """While a writer is at work, no file under its final name is half there."""
    with start(WRITER, store.folder) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        for _ in range(60):
            for path in files(store.folder, "*.blob"):
                try:
                    assert len(path.read_bytes()) > 4000
                except FileNotFoundError:
                    continue  # an older checkpoint, replaced in between
        child.kill()
