"""Nothing twice: what did not change is neither computed nor loaded again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limner import EventStream, Session
from limner.engine import events as ev

SMALL = {"steps": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session that has drawn the template once; its pictures and its cache lie in a folder of their own."""
    folder = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch, Session(cache_dir=folder / "cache") as session:
        patch.chdir(folder)
        session.run("text_to_image", **SMALL)
        yield session


@pytest.fixture
def ran(warm: Session) -> Callable[..., list[str]]:
    """Draw the template with other values; give the nodes that ran, in order."""

    def run(**values: Any) -> list[str]:
        stream = ev.EventStream()
        reader = stream.reader(limit=10_000)
        warm.run("text_to_image", events=stream, **(SMALL | values))
        return [event.node for event in reader if isinstance(event, ev.NodeStarted)]

    return run


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["save"]),
        ({"save.path": "other.png"}, ["save"]),
        ({"seed": 1}, ["denoise", "decode", "save"]),
        ({"steps": 3}, ["denoise", "decode", "save"]),
        ({"width": 80}, ["denoise", "decode", "save"]),
        ({"batch": 2}, ["denoise", "decode", "save"]),
        ({"prompt": "a blue star"}, ["encode", "denoise", "decode", "save"]),
    ],
)
def test_only_what_depends_on_a_change_runs(ran: Any, change: dict[str, Any], expected: list[str]) -> None:
    """Each setting re-runs the nodes that depend on it, and no other."""
    assert ran(**change) == expected


def test_a_change_back_is_known(ran: Any) -> None:
    """Going back to an earlier setting computes nothing."""
    ran(seed=5)
    ran(seed=6)
    assert ran(seed=5) == ["save"]


def test_nothing_is_loaded_again(warm: Session, ran: Any) -> None:
    """Another prompt, seed or number of steps loads no model: the same three stay."""
    before = {resident.spec: id(resident.module) for resident in warm.executor.models.residents()}
    ran(prompt="a green triangle", seed=9, steps=4)
    after = {resident.spec: id(resident.module) for resident in warm.executor.models.residents()}
    assert len(before) == 3
    assert after == before


def test_another_session_knows_what_is_on_disk(warm: Session, ran: Any) -> None:
    """What was computed before is found by the next process: no model is loaded for it."""
    ran(seed=11)
    stream = EventStream()
    reader = stream.reader()
    with Session(cache_dir=warm.cache.store.folder) as other:
        other.run("text_to_image", events=stream, seed=11, **SMALL)
        assert other.executor.models.residents() == []
    assert [event.node for event in reader if isinstance(event, ev.NodeStarted)] == ["save"]


def test_a_damaged_entry_is_computed_again(warm: Session, ran: Any) -> None:
    """A picture whose bytes were changed in the cache is never served."""
    ran(seed=12)
    for path in (warm.cache.store.folder / "v1" / "objects").rglob("*.png"):
        path.write_bytes(b"\0" + path.read_bytes()[1:])
    warm.cache.clear()
    assert ran(seed=12) == ["model", "decode", "save"]


def test_a_changed_picture_is_another_picture(session: Any) -> None:
    """Reference files count by content: the same name with other pixels is read and encoded again."""
    import PIL.Image

    def ran() -> list[str]:
        stream = EventStream()
        reader = stream.reader(limit=10_000)
        session.run("edit_with_references", events=stream, images=["a.png"], **SMALL)
        return [event.node for event in reader if isinstance(event, ev.NodeStarted)]

    PIL.Image.new("RGB", (64, 64), "red").save("a.png")
    ran()
    PIL.Image.new("RGB", (64, 64), "red").save("b.png")
    Path("b.png").replace("a.png")
    assert ran() == ["save"]
    PIL.Image.new("RGB", (64, 64), "blue").save("a.png")
    assert ran() == ["references", "encode_references", "denoise", "decode", "save"]


COUNTING = """
import sys
from diffusers import AutoencoderKLFlux2
from limner import Session

encode, counted = AutoencoderKLFlux2.encode, []
AutoencoderKLFlux2.encode = lambda vae, pixels: counted.append(1) or encode(vae, pixels)
with Session(cache_dir="cache") as session:
    for pattern in sys.argv[1:]:
        counted.clear()
        session.run("edit_with_references", images=[pattern], steps=1, width=64, height=64)
        print(len(counted))
"""


def test_one_swapped_picture_of_ten_is_encoded_alone(tmp_path: Path) -> None:
    """In the same process and in the next one, where nothing else changed nothing is; counted at the VAE."""
    import PIL.Image

    def picture(folder: str, number: int, shade: int) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        PIL.Image.new("RGB", (64, 64), (shade, 0, 0)).save(tmp_path / folder / f"{number}.png")

    for number in range(1, 11):
        for folder, swapped in (("first", 0), ("second", 3), ("third", 10)):
            picture(folder, number, 100 if number == swapped else number)
    said = []
    for patterns in (["first/*.png", "second/*.png"], ["third/*.png", "second/*.png"]):
        command = [sys.executable, "-c", COUNTING, *patterns]
        said += subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert said == ["10", "1", "0", "0"]
