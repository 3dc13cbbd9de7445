"""What a file holds is told in a moment also of gigabytes, alike for copies, and anew for what was trained."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from limner.engine.errors import ModelError
from limner.nodes._flux2.content import content_of, portable_content_of, sha256_of
from limner.nodes._flux2.source import describe_source, identify

LARGE = (16 << 20) + 1000


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that is too large to be read whole for every picture."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(np.random.default_rng(0).bytes(LARGE))
    return path


def test_a_copy_is_the_same(weights: Path, tmp_path: Path) -> None:
    """Elsewhere and at another time; for a key, which looks at nothing but the stamp, it is another file."""
    copy = tmp_path / "b.safetensors"
    shutil.copyfile(weights, copy)
    os.utime(copy, ns=(1, 1))
    assert portable_content_of(copy) == portable_content_of(weights)
    assert portable_content_of(weights).startswith("sampled:")
    assert content_of(copy) != content_of(weights)


@pytest.mark.parametrize("change", ["begin", "end", "slightly all", "length"])
def test_other_weights_are_others(weights: Path, change: str) -> None:
    """Also where training changed only one byte of a hundred."""
    before = portable_content_of(weights)
    content = bytearray(weights.read_bytes())
    if change == "begin":
        content[100] ^= 1
    elif change == "end":
        content[-1] ^= 1
    elif change == "slightly all":
        content[::100] = bytes(byte ^ 1 for byte in content[::100])
    else:
        content += b"\0"
    weights.write_bytes(content)
    assert portable_content_of(weights) != before


def test_little_of_a_large_file_is_read(tmp_path: Path) -> None:
    """64 GB of holes would take minutes to be read."""
    path = tmp_path / "a.gguf"
    with path.open("wb") as file:
        file.truncate(64 << 30)
    assert portable_content_of(path).startswith("sampled:")


def test_small_files_are_known_by_all_their_bytes(tmp_path: Path) -> None:
    """The same full hash for keys and for pictures, known to every other tool."""
    path = tmp_path / "a.json"
    path.write_bytes(b"{}")
    assert sha256_of(path) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert portable_content_of(path) == f"sha256:{content_of(path)}" == f"sha256:{sha256_of(path)}"
    with pytest.raises(ModelError, match="cannot be read"):
        portable_content_of(tmp_path / "gone")


def test_a_folder_is_known_by_its_parts(tmp_path: Path) -> None:
    """``sampled`` where a part is; the embedded model is small enough to be hashed whole."""
    assert describe_source("tiny", None).startswith("sha256:")
    for name in ("one", "two"):
        (tmp_path / name / "vae").mkdir(parents=True)
        (tmp_path / name / "model_index.json").write_text("{}")
        (tmp_path / name / "vae" / "a.safetensors").write_bytes(bytes(LARGE))
        os.utime(tmp_path / name / "vae" / "a.safetensors", ns=(len(name), ord(name[0])))
    one, two = (describe_source(str(tmp_path / name), None) for name in ("one", "two"))
    assert one == two
    assert one.startswith("sampled:")
    assert identify(str(tmp_path / "one"), None) != identify(str(tmp_path / "two"), None)
