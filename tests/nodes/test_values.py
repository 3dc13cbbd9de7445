"""Every value comes back from its bytes as it was, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from limner.engine.value import Storable, is_storable, size_bytes
from limner.nodes.values import Conditioning, Files, Image, Latent, Mask, ReferenceLatents, References

DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64])
SIDE = st.integers(1, 5)
SEED = st.integers(0, 2**32)


def tensor(seed: int, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def pixels(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def values() -> list[Storable]:
    """One of each class that can be stored."""
    return [
        Conditioning(tensor(0, torch.bfloat16, 1, 4, 6)),
        Conditioning(tensor(0, torch.float32, 1, 4, 6), tensor(1, torch.float32, 1, 4, 6)),
        References((pixels(0, 4, 5, 3), pixels(1, 2, 9, 3))),
        ReferenceLatents((tensor(0, torch.float32, 1, 8, 2, 3), tensor(1, torch.float32, 1, 8, 1, 1))),
        Latent(tensor(0, torch.float16, 2, 8, 3, 2)),
        Image(pixels(0, 3, 7, 5, 3)),
        Mask(pixels(0, 7, 5)),
    ]


@given(DTYPES, SEED, st.tuples(SIDE, SIDE, SIDE), st.booleans())
def test_a_conditioning_round_trips(dtype: torch.dtype, seed: int, shape: tuple[int, ...], has_negative: bool) -> None:
    value = Conditioning(tensor(seed, dtype, *shape), tensor(seed + 1, dtype, *shape) if has_negative else None)
    back = Conditioning.from_bytes(value.to_bytes())
    assert torch.equal(back.prompt, value.prompt)
    assert back.prompt.dtype == dtype
    assert (back.negative is None) == (not has_negative)
    if value.negative is not None and back.negative is not None:
        assert torch.equal(back.negative, value.negative)
    assert back.size_bytes == value.size_bytes


@given(DTYPES, SEED, st.tuples(SIDE, SIDE, SIDE, SIDE))
def test_a_latent_round_trips(dtype: torch.dtype, seed: int, shape: tuple[int, ...]) -> None:
    """Also one that lies in memory in another order."""
    samples = tensor(seed, dtype, *shape).permute(0, 3, 1, 2)
    back = Latent.from_bytes(Latent(samples).to_bytes())
    assert torch.equal(back.samples, samples)
    assert back.samples.dtype == dtype


@given(DTYPES, SEED, st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=10))
def test_reference_latents_round_trip_in_order(dtype: torch.dtype, seed: int, sizes: list[tuple[int, int]]) -> None:
    latents = tuple(tensor(seed + index, dtype, 1, 8, *size) for index, size in enumerate(sizes))
    back = ReferenceLatents.from_bytes(ReferenceLatents(latents).to_bytes())
    assert [torch.equal(a, b) for a, b in zip(back.latents, latents, strict=True)] == [True] * len(sizes)


@given(SEED, st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=10))
def test_references_round_trip_in_order(seed: int, sizes: list[tuple[int, int]]) -> None:
    images = tuple(pixels(seed + index, *size, 3) for index, size in enumerate(sizes))
    back = References.from_bytes(References(images).to_bytes())
    assert [np.array_equal(a, b) for a, b in zip(back.images, images, strict=True)] == [True] * len(sizes)


@given(SEED, st.tuples(SIDE, SIDE, SIDE))
def test_pictures_round_trip(seed: int, shape: tuple[int, ...]) -> None:
    value = Image(pixels(seed, *shape, 3))
    assert np.array_equal(Image.from_bytes(value.to_bytes()).pixels, value.pixels)


def test_a_large_batch_round_trips() -> None:
    """A cached batch may have more pixels than Pillow opens without a warning."""
    value = Image(np.zeros((90, 1000, 1000, 3), dtype=np.uint8))
    assert Image.from_bytes(value.to_bytes()).pixels.shape == value.pixels.shape


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_every_value_can_be_stored_and_says_its_size(value: Storable) -> None:
    assert is_storable(value)
    assert size_bytes(value) == value.size_bytes > 0
    assert len(value.to_bytes()) > 0


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_values_are_stored_and_read_without_pickle(value: Storable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side reaches for it, and what is stored is in a format that cannot name code."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("a pickle was made or read")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    content = value.to_bytes()
    type(value).from_bytes(content)
    monkeypatch.undo()
    is_png = content.startswith(b"\x89PNG\r\n")
    is_safetensors = content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content)
    assert is_png or is_safetensors


def test_files_say_their_size() -> None:
    assert size_bytes(Files(("a.png", "b.png"))) == 10


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_every_truncation_is_refused(value: Storable) -> None:
    """A file that was cut short is a ValueError, wherever it was cut."""
    content = value.to_bytes()
    for length in {0, 1, 7, 8, 9, len(content) // 2, len(content) - 30, len(content) - 1}:
        with pytest.raises(ValueError, match="stored"):
            type(value).from_bytes(content[:length])


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("other", values(), ids=lambda value: type(value).__name__)
def test_a_value_is_not_taken_for_another(value: Storable, other: Storable) -> None:
    if type(value) is not type(other):
        with pytest.raises(ValueError, match="stored"):
            type(value).from_bytes(other.to_bytes())


class Bomb:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a pickle was run')",)


def hostile() -> dict[str, bytes]:
    """Contents that somebody may put into a cache folder."""
    plain = {"samples": torch.zeros(1, 2, 3, 4)}
    buffer = io.BytesIO()
    torch.save({"samples": Bomb()}, buffer)
    header = json.dumps({"__metadata__": {"limner": json.dumps({"kind": "Latent"})}}).encode()
    outside = json.dumps(
        {
            "__metadata__": {"limner": json.dumps({"kind": "Latent"})},
            "samples": {"dtype": "F32", "shape": [1, 2, 3, 4], "data_offsets": [0, 1 << 40]},
        }
    ).encode()
    deep = b'{"__metadata__":' + b"[" * 100_000
    return {
        "nothing": b"",
        "a pickle": pickle.dumps(Bomb()),
        "a torch pickle": buffer.getvalue(),
        "a header of 4 GB": struct.pack("<Q", 1 << 32) + b"{}",
        "a header of 2**64 bytes": b"\xff" * 8 + b"{}",
        "no metadata": safetensors.torch.save(plain),
        "metadata that is no JSON": safetensors.torch.save(plain, {"limner": "{"}),
        "metadata without a kind": safetensors.torch.save(plain, {"limner": "[]"}),
        "no tensors": struct.pack("<Q", len(header)) + header,
        "tensors outside the file": struct.pack("<Q", len(outside)) + outside,
        "brackets without end": struct.pack("<Q", len(deep)) + deep,
        "HTML": b"<!doctype html><script>alert(1)</script>",
    }


@pytest.mark.parametrize("kind", [Conditioning, References, ReferenceLatents, Latent, Image, Mask])
@pytest.mark.parametrize("content", hostile().values(), ids=hostile())
def test_hostile_content_is_refused(kind: type[Storable], content: bytes) -> None:
    """Nothing is run, and nothing is allocated on the word of a header."""
    with pytest.raises(ValueError, match="stored"):
        kind.from_bytes(content)


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        ("Latent", "samples", torch.zeros(1, 2, 3)),
        ("Latent", "samples", torch.zeros(1, 2, 3, 4, dtype=torch.int64)),
        ("Latent", "samples", torch.zeros(1, 0, 3, 4)),
        ("Latent", "sample", torch.zeros(1, 2, 3, 4)),
        ("Conditioning", "prompt", torch.zeros(2, 2)),
        ("Conditioning", "negative", torch.zeros(1, 2, 2)),
        ("ReferenceLatents", "1", torch.zeros(1, 2, 3, 4)),
        ("ReferenceLatents", "0", torch.zeros(3)),
        ("References", "0", torch.zeros(4, 4, 3)),
        ("References", "0", torch.zeros(4, 4, 4, dtype=torch.uint8)),
    ],
)
def test_wrong_tensors_are_refused(kind: str, name: str, wrong: torch.Tensor) -> None:
    """Names, ranks and dtypes are checked, also of well-formed files."""
    from limner.nodes import values as module
    from limner.nodes._flux2.storage import dump

    with pytest.raises(ValueError, match=r"stored|floating|reference"):
        getattr(module, kind).from_bytes(dump(kind, {name: wrong}))


def png(size: tuple[int, int], batch: str | None, mode: str = "RGB") -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info, buffer = PngInfo(), io.BytesIO()
    if batch is not None:
        info.add_text("limner-batch", batch)
    PIL.Image.new(mode, size).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims two thousand million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


@pytest.mark.parametrize(
    "content",
    [
        png((4, 4), None),
        png((4, 4), "x"),
        png((4, 4), "0"),
        png((4, 4), "3"),
        png((4, 4), "-1"),
        png((4, 4), "2", "L"),
        bomb(),
    ],
    ids=["no batch", "no number", "none", "does not divide", "negative", "grey", "bomb"],
)
def test_foreign_pictures_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"stored|invalid literal"):
        Image.from_bytes(content)


@given(SEED, st.tuples(SIDE, SIDE))
def test_a_mask_round_trips(seed: int, shape: tuple[int, int]) -> None:
    values = pixels(seed, *shape)
    np.testing.assert_array_equal(Mask.from_bytes(Mask(values).to_bytes()).values, values)


@pytest.mark.parametrize("content", [png((4, 4), None, "L"), png((4, 4), "2", "L"), png((4, 4), "1"), bomb()])
def test_foreign_masks_are_refused(content: bytes) -> None:
    """A batch, colors, and what claims more than it holds."""
    with pytest.raises(ValueError, match=r"stored|invalid literal"):
        Mask.from_bytes(content)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 1), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4))])
def test_masks_have_one_form(wrong: Any) -> None:
    with pytest.raises(ValueError, match="H, W"):
        Mask(wrong)


@pytest.mark.parametrize(
    ("mask", "picture", "slack", "is_stretched"),
    [
        ((100, 50), (100, 50), 1, False),
        ((200, 100), (100, 50), 1, False),
        ((333, 100), (1000, 300), 1, False),
        ((75, 100), (64, 96), 16, False),
        ((100, 100), (64, 96), 16, True),
        ((100, 50), (50, 100), 1, True),
        ((110, 50), (100, 50), 1, True),
    ],
)
def test_masks_of_another_shape_are_noticed(
    mask: tuple[int, int], picture: tuple[int, int], slack: int, is_stretched: bool
) -> None:
    """Another size is none; nor is what rounding or cutting to multiples of 16 makes of a shape."""
    message = Mask(np.zeros(mask[::-1], np.uint8)).misfit(*picture, slack)
    assert (message is not None) == is_stretched
    if message is not None:
        assert message.startswith(f"the mask is {mask[0]}x{mask[1]}, and the picture {picture[0]}x{picture[1]}")


@pytest.mark.parametrize(
    "shape", [(4, 4, 3), (1, 4, 4, 4), (0, 4, 4, 3), (1, 4, 0, 3)], ids=["rank", "channels", "empty", "no width"]
)
def test_pictures_have_one_form(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="N, H, W, 3"):
        Image(np.zeros(shape, dtype=np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        Image(np.zeros((1, 4, 4, 3), dtype=np.float32))  # type: ignore[arg-type]  # the fault under test


@pytest.mark.parametrize("count", [0, 11])
def test_references_are_one_to_ten(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        References(tuple(pixels(i, 4, 4, 3) for i in range(count)))
    with pytest.raises(ValueError, match="1 to 10"):
        ReferenceLatents(tuple(tensor(i, torch.float32, 1, 8, 2, 2) for i in range(count)))
