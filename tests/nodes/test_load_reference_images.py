"""Reference pictures are read as they look, in order; what cannot be one is refused by name, with a hint."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from diffusers.utils import load_image
from pydantic import ValidationError

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import LoadReferenceImages
from limner.nodes.values import Image

SIZE = (80, 64)


def gradient(size: tuple[int, int] = SIZE, mode: str = "RGB") -> PIL.Image.Image:
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    return PIL.Image.fromarray(pixels).convert(mode)


def save(path: Path, image: PIL.Image.Image | None = None, kind: str = "PNG", **settings: Any) -> str:
    (image or gradient()).save(path, kind, **settings)
    return str(path)


def load(*files: str, images: list[Image] | None = None) -> list[Any]:
    return list(LoadReferenceImages(files=files).run(FakeContext(), images).images)


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB")]
)
def test_pictures_are_read_as_diffusers_reads_them(tmp_path: Path, kind: str, mode: str) -> None:
    """For opaque pictures the result is that of ``load_image``."""
    path = save(tmp_path / "picture", gradient(mode=mode), kind)
    (pixels,) = load(path)
    assert np.array_equal(pixels, np.array(load_image(path)))


def test_the_content_says_what_a_file_is(tmp_path: Path) -> None:
    """A JPEG with a wrong ending is still a JPEG."""
    (pixels,) = load(save(tmp_path / "photo.png", kind="JPEG"))
    assert pixels.shape == (64, 80, 3)


def test_pictures_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, as phones do
    (pixels,) = load(save(tmp_path / "phone.jpg", kind="JPEG", exif=exif))
    assert pixels.shape == (80, 64, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_become_white(tmp_path: Path, mode: str) -> None:
    image = PIL.Image.new("RGBA", SIZE, (200, 0, 0, 0))
    image.paste((10, 20, 30, 255), (0, 0, 40, 64))
    if mode != "RGBA":
        image = image.convert(mode) if mode == "LA" else image.quantize(16)
    (pixels,) = load(save(tmp_path / "logo.png", image))
    assert (pixels[:, 40:] == 255).all()
    assert (pixels[:, :40] < 40).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 80).reshape(64, 80).astype(np.uint16)
    (pixels,) = load(save(tmp_path / "deep.png", PIL.Image.fromarray(ramp)))
    assert np.array_equal(pixels[..., 0], (ramp >> 8).astype(np.uint8))


def test_wired_pictures_follow_those_from_files(tmp_path: Path) -> None:
    batch = Image(np.stack([np.full((64, 64, 3), value, dtype=np.uint8) for value in (1, 2)]))
    pictures = load(save(tmp_path / "a.png"), images=[batch, Image(batch.pixels[:1])])
    assert [picture[0, 0, 0] for picture in pictures[1:]] == [1, 2, 1]
    assert len(load(images=[batch])) == 2


@pytest.mark.parametrize("files", [("a", "b"), ["a", "b"]])
def test_lists_are_accepted_from_scripts_and_json(files: Any) -> None:
    assert LoadReferenceImages(files=files).files == ("a", "b")
    assert LoadReferenceImages.model_validate_json('{"files": ["a", "b"]}').files == ("a", "b")


@pytest.mark.parametrize("files", ["x.png", [1], None])
def test_only_lists_of_paths_are_accepted(files: Any) -> None:
    with pytest.raises(ValidationError):
        LoadReferenceImages(files=files)


def test_the_eleventh_file_is_named_before_running(tmp_path: Path) -> None:
    """One by one or by a pattern, and with wires that bring one each at least."""
    names = [save(tmp_path / f"shot{number}.png") for number in range(1, 12)]
    pattern = str(tmp_path / "shot*.png")
    for files, eleventh, count in ((names, 11, 11), ([pattern], 11, 11), ([names[0], pattern], 10, 12)):
        ((_, message),) = LoadReferenceImages(files=files).problems()
        assert message == f"{names[eleventh - 1]} is picture 11 of {count}; a prompt can refer to 10"
    ((_, message),) = LoadReferenceImages(files=names[:8]).problems({"images": 3})
    assert message == "8 pictures, and 3 or more by wires to images; a prompt can refer to 10"
    assert not list(LoadReferenceImages(files=names[:7]).problems({"images": 3}))


def test_a_pattern_means_all_that_match_in_natural_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``shot2`` comes before ``shot10``; files between patterns keep their place; folders are passed over."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "folder.png").mkdir()
    for number, name in enumerate(("shots/shot10.png", "shots/Shot2.png", "shots/shot1.png", "last.png", "first.png")):
        save(Path(name), PIL.Image.new("RGB", SIZE, (number, 0, 0)))
    pictures = load("first.png", "shots/*.png", "last.png")
    assert [picture[0, 0, 0] for picture in pictures] == [4, 2, 1, 0, 3]
    assert not list(LoadReferenceImages(files=["first.png", "shots/*.png"]).problems())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("~/shots/?hot[12]*.png")) == 3


def test_a_pattern_that_matches_nothing_is_named(tmp_path: Path) -> None:
    """Nothing is left out in silence."""
    node = LoadReferenceImages(files=[str(tmp_path / "shots" / "*.png"), save(tmp_path / "a.png")])
    ((setting, message),) = node.problems()
    assert setting == "files"
    assert message.startswith(f"no file matches {tmp_path}/shots/*.png: ")
    with pytest.raises(InputError, match="no file matches"):
        node.fingerprint()


def test_a_file_with_brackets_in_its_name_is_a_file(tmp_path: Path) -> None:
    """Before anything that its name would match as a pattern."""
    literal, other = save(tmp_path / "shot[1].png", gradient((64, 64))), save(tmp_path / "shot1.png")
    assert load(literal)[0].shape == (64, 64, 3)
    Path(literal).unlink()
    assert load(literal)[0].shape == load(other)[0].shape == (64, 80, 3)


def test_what_a_pattern_matches_counts_by_content(tmp_path: Path) -> None:
    """Another file that matches is another result; another name of the same pictures in the same order is not."""
    node = LoadReferenceImages(files=[str(tmp_path / "*.png")])
    save(tmp_path / "b.png")
    first = node.fingerprint()
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    assert node.fingerprint() == first
    save(tmp_path / "a.png", gradient((64, 64)))
    assert node.fingerprint() != first


@pytest.mark.parametrize("name", ["shots\0/*.png", "x" * 5000 + "*", "~no_such_user/*.png"])
def test_a_pattern_that_no_file_can_match_is_a_fault(name: str) -> None:
    assert [setting for setting, _ in LoadReferenceImages(files=[name]).problems()] == ["files"]


def test_what_headers_tell_is_found_before_running(tmp_path: Path) -> None:
    """Each fault names its file: too small, too long, claiming too much, no picture, cut in its header."""
    files = [
        save(tmp_path / "small.png", gradient((64, 63))),
        save(tmp_path / "long.webp", gradient((65, 521)), "WEBP"),
    ]
    for name, content in {
        "bomb.png": png_header(9_000, 9_000),
        "page.png": b"<!doctype html>",
        "cut.jpg": truncated("JPEG")[:20],
    }.items():
        (tmp_path / name).write_bytes(content)
        files.append(str(tmp_path / name))
    messages = [message for _, message in LoadReferenceImages(files=files).problems()]
    for file, message, said in zip(
        files, messages, ("64x63", "65x521", "80 million", "no picture", "no picture|damaged"), strict=True
    ):
        assert message.startswith(file)
        assert re.search(said, message)


def test_eleven_pictures_are_refused(tmp_path: Path) -> None:
    """Files and wired pictures count together."""
    path = save(tmp_path / "a.png")
    batch = Image(np.zeros((2, 64, 64, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="11 reference pictures; 1 to 10"):
        load(*[path] * 9, images=[batch])


def test_no_picture_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="0 reference pictures") as caught:
        load()
    assert caught.value.hint == "name files, or wire pictures to images"


@pytest.mark.parametrize("size", [(63, 100), (100, 63), (513, 64), (64, 513), (576, 64)])
def test_sizes_that_flux2_cannot_refer_to(tmp_path: Path, size: tuple[int, int]) -> None:
    """At least 64 pixels a side, at most 8 to 1: the limits of the pipelines."""
    path = save(tmp_path / "a.png", gradient(size))
    with pytest.raises(InputError, match=f"{size[0]}x{size[1]}; a reference") as caught:
        load(path)
    assert path in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("size", [(64, 64), (512, 64), (64, 512)])
def test_sizes_at_the_limit(tmp_path: Path, size: tuple[int, int]) -> None:
    assert load(save(tmp_path / "a.png", gradient(size)))[0].shape == (size[1], size[0], 3)


def test_wired_pictures_have_the_same_limits() -> None:
    with pytest.raises(InputError, match="picture 1 of the wire images is 32x64"):
        load(images=[Image(np.zeros((1, 64, 32, 3), dtype=np.uint8))])


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path, side: int) -> None:
    """Whatever Pillow itself thinks of the size: below its warning, between warning and error, above."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    with pytest.raises(InputError, match=r"bomb\.png has more than 80 million pixels") as caught:
        load(str(path))
    assert caught.value.hint == "scale it down"


def truncated(kind: str) -> bytes:
    buffer = io.BytesIO()
    gradient((200, 200)).save(buffer, kind)
    return buffer.getvalue()[:-300]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no picture that can be read"),
        (b"<!doctype html><title>not found</title>", "no picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture that can be read"),
        (b"GIF89a" + bytes(100), "no picture that can be read"),
        (b"\x89PNG\r\n\x1a\n", "damaged|no picture"),
        (truncated("PNG"), "is damaged"),
        (truncated("JPEG"), "is damaged"),
        (truncated("WEBP"), "is damaged|no picture"),
        (png_header(100, 100)[:40] + b"\x00" * 40, "is damaged|no picture"),
    ],
    ids=["empty", "HTML", "SVG", "GIF", "signature only", "cut PNG", "cut JPEG", "cut WebP", "broken chunk"],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load(str(path))
    assert "picture.png" in caught.value.message
    assert caught.value.hint


def test_files_that_are_not_there_are_found_before_running(tmp_path: Path) -> None:
    there = save(tmp_path / "a.png")
    node = LoadReferenceImages(files=(there, str(tmp_path / "gone.png"), str(tmp_path), ""))
    assert [(setting, message.replace(str(tmp_path), "")) for setting, message in node.problems()] == [
        ("files", "there is no file /gone.png"),
        ("files", " is not a file"),
        ("files", "the name of a picture is empty"),
    ]


def test_a_file_that_vanished_since_is_one_clear_line(tmp_path: Path) -> None:
    node = LoadReferenceImages(files=[str(tmp_path / "gone.png")])
    for act in (node.fingerprint, lambda: node.run(FakeContext())):
        with pytest.raises(InputError, match=r"gone\.png cannot be read: No such file"):
            act()


def test_files_count_by_content(tmp_path: Path) -> None:
    """The same picture under another name is the same work; another picture under the same name is not."""
    first, second = save(tmp_path / "a.png"), save(tmp_path / "b.png")
    same = LoadReferenceImages(files=(first,)).fingerprint()
    assert LoadReferenceImages(files=(second,)).fingerprint() == same
    save(tmp_path / "a.png", gradient((64, 64)))
    assert LoadReferenceImages(files=(first,)).fingerprint() != same


def test_a_file_that_is_endlessly_long_is_refused_unread(tmp_path: Path) -> None:
    """Before its content is hashed, however small the picture that its header promises."""
    path = tmp_path / "long.png"
    PIL.Image.new("RGB", (64, 64)).save(path)
    with path.open("r+b") as file:
        file.truncate((1 << 30) + 1)  # a hole, which takes no room
    node = LoadReferenceImages(files=(str(path),))
    assert [message for _, message in node.problems()] == [f"{path} is larger than 1 GiB: save it again, smaller"]
    with pytest.raises(InputError, match="larger than 1 GiB"):
        node.fingerprint()
