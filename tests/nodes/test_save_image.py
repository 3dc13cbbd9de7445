"""Pictures are written whole, under a name that nobody had, with the story of how they were made."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from pydantic import ValidationError

from limner.engine.context import Provenance
from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import SaveImage
from limner.nodes.provenance import read_provenance
from limner.nodes.values import Image

GRAPH = {"limner": 1, "name": "näh 红", "nodes": {"save": {"type": "SaveImage", "settings": {"quality": 95}}}}
PROVENANCE = Provenance(json.dumps(GRAPH), {"save": "ab" * 32}, software={"limner": "0.1.0", "torch": "2.13.0"})


def pictures(count: int = 1, side: int = 8) -> Image:
    return Image(np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def save(path: Path, images: Image, provenance: Provenance = PROVENANCE, **settings: object) -> list[str]:
    ctx = FakeContext(provenance=provenance)
    written = SaveImage.model_validate({"path": str(path), **settings}).run(ctx, images).paths
    assert ctx.steps == [(number, len(written)) for number in range(1, len(written) + 1)]
    return [str(Path(name).relative_to(path.parent)) for name in written]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG", ".Jpg"])
def test_the_ending_is_the_format(tmp_path: Path, suffix: str) -> None:
    images = pictures(side=16)
    assert save(tmp_path / f"deep/er/a{suffix}", images) == [f"a{suffix}"]
    with PIL.Image.open(tmp_path / f"deep/er/a{suffix}") as image:
        assert image.format == {".png": "PNG", ".webp": "WEBP"}.get(suffix.lower(), "JPEG")
        assert image.size == (16, 16)
        if suffix.lower() == ".png":
            assert np.array_equal(np.array(image), images.pixels[0])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_carries_how_it_was_made(tmp_path: Path, suffix: str) -> None:
    """Graph, keys and versions come back as they were, in any script."""
    save(tmp_path / f"a{suffix}", pictures())
    back = read_provenance(tmp_path / f"a{suffix}")
    assert json.loads(back.graph) == GRAPH
    assert (back.keys, back.software) == (PROVENANCE.keys, PROVENANCE.software)


def test_other_programs_find_it_in_a_text_chunk(tmp_path: Path) -> None:
    save(tmp_path / "a.png", pictures())
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.info["limner"])["graph"] == GRAPH


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_graph_of_any_common_size_is_carried(tmp_path: Path, suffix: str) -> None:
    """JPEG holds what is longer than one of its segments in several."""
    large = Provenance(json.dumps({"text": "x & <y> " * 100_000}))
    ctx = FakeContext(provenance=large)
    SaveImage(path=str(tmp_path / f"a{suffix}")).run(ctx, pictures())
    assert ctx.warnings == []
    assert read_provenance(tmp_path / f"a{suffix}").graph == large.graph


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_graph_that_nobody_would_read_is_left_out_with_a_warning(tmp_path: Path, suffix: str) -> None:
    """Texts have a limit when they are read, so nothing is written beyond it; the picture is saved all the same."""
    ctx = FakeContext(provenance=Provenance(json.dumps({"text": "x" * (8 << 20)})))
    SaveImage(path=str(tmp_path / f"a{suffix}")).run(ctx, pictures())
    (warning,) = ctx.warnings
    assert "too large to be carried" in warning
    with pytest.raises(InputError, match="carries no graph"):
        read_provenance(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_metadata_can_be_left_out(tmp_path: Path, suffix: str) -> None:
    """``metadata: none`` writes no word of how the picture was made."""
    save(tmp_path / f"a{suffix}", pictures(), metadata="none")
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert not any(word in content for word in (b"imner", b"torch", b"Exif", b"xmp", b"tEXt", b"iTXt"))


def test_quality_is_that_of_the_setting(tmp_path: Path) -> None:
    for suffix in (".jpg", ".webp"):
        for quality in (5, 100):
            save(tmp_path / f"{quality}{suffix}", pictures(side=64), quality=quality)
        sizes = [(tmp_path / f"{quality}{suffix}").stat().st_size for quality in (5, 100)]
        assert sizes[0] < sizes[1] / 2


def test_no_file_is_lost(tmp_path: Path) -> None:
    """Where a name is taken, the next free number is."""
    (tmp_path / "a-2.png").write_bytes(b"mine")
    assert [save(tmp_path / "a.png", pictures()) for _ in range(3)] == [["a.png"], ["a-3.png"], ["a-4.png"]]
    assert (tmp_path / "a-2.png").read_bytes() == b"mine"


def test_a_batch_is_numbered(tmp_path: Path) -> None:
    images = pictures(3)
    assert save(tmp_path / "a.png", images) == ["a-1.png", "a-2.png", "a-3.png"]
    assert save(tmp_path / "a.png", images) == ["a-4.png", "a-5.png", "a-6.png"]
    assert save(tmp_path / "a.png", images, overwrite=True) == ["a-1.png", "a-2.png", "a-3.png"]
    for number in (1, 2, 3):
        with PIL.Image.open(tmp_path / f"a-{number}.png") as image:
            assert np.array_equal(np.array(image), images.pixels[number - 1])


def test_overwriting_replaces(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    assert save(tmp_path / "a.png", pictures(), overwrite=True) == ["a.png"]
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert image.size == (8, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_many_writers_take_different_names(tmp_path: Path) -> None:
    """Also when they look for a name at the same moment."""
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: save(tmp_path / "a.png", pictures())[0], range(40)))
    assert len(set(names)) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


FULL_DISK = """
import resource, sys
import numpy as np
from limner.engine.testing import FakeContext
from limner.nodes import SaveImage
from limner.nodes.values import Image
images = Image(np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8))
node = SaveImage(path=sys.argv[1], overwrite=sys.argv[2] == "over")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    node.run(FakeContext(), images)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of file sizes is POSIX")
@pytest.mark.parametrize("mode", ["over", "new"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, mode: str) -> None:
    """The system refuses the write for real; nothing half-written stays, and the fault is one line."""
    (tmp_path / "a.png").write_bytes(b"old")
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.png"), mode]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == f"InputError {tmp_path / 'a.png'} cannot be written: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


KILLED = """
import os, signal, sys
from pathlib import Path
from limner.nodes._new_file import write_new
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
write_new([Path(sys.argv[1])], b"a picture")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_kill_while_saving_leaves_no_broken_picture(tmp_path: Path) -> None:
    """The name appears only when the content is on the disk; what was begun is hidden beside it."""
    run = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.png")], check=False, timeout=60)
    assert run.returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert left.suffix == ".part"
    assert save(tmp_path / "a.png", pictures()) == ["a.png"]
    assert left.exists(), "another process may be writing it"


def test_a_file_system_without_links_loses_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert [save(tmp_path / "a.png", pictures()) for _ in range(2)] == [["a.png"], ["a-2.png"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.png", "a.png"]
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert image.size == (8, 8)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"file/a\.png cannot be written"):
        save(tmp_path / "file" / "a.png", pictures())


def test_faults_that_are_found_before_running(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path, message in (
        ("a.gif", "must end in"),
        ("a", "must end in"),
        (str(tmp_path / "folder.png"), "is a folder"),
    ):
        ((setting, text),) = SaveImage(path=path).problems()
        assert setting == "path"
        assert message in text
    assert list(SaveImage().problems()) == []


@pytest.mark.parametrize("settings", [{"quality": 0}, {"quality": 101}, {"path": ""}, {"overwrite": 1}])
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SaveImage.model_validate(settings)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_does_not_name_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """A path in the home folder begins with ``~`` in the picture; every other text is as it was."""
    monkeypatch.setenv("HOME", "/home/ada")
    texts = ["/home/ada/models/x", "/home/ada", "/home/adam/x", 'in "/home/ada/x"', "/srv/home/ada/x"]
    graph = {"nodes": {"a": {"settings": {"files": texts, "path": "/home/ada/b.png"}}}}
    sources = {"a": {"/home/ada/b.png": "sha256:ab"}}
    save(tmp_path / f"a{suffix}", pictures(), Provenance(json.dumps(graph), sources=sources))
    found = read_provenance(tmp_path / f"a{suffix}")
    assert json.loads(found.graph)["nodes"]["a"]["settings"] == {"files": ["~/models/x", *texts[1:]], "path": "~/b.png"}
    assert found.sources == {"a": {"~/b.png": "sha256:ab"}}
