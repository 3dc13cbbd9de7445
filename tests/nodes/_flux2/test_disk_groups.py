"""Groups that wait on disk: the same bits, and files that are whole, reused, and nobody else's."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from diffusers.hooks import group_offloading
from lora_files import random_pairs, split, write

from limner.engine.errors import ModelError
from limner.engine.offload import Offload
from limner.engine.pool import ModelPool
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA, LoadModel
from limner.nodes._flux2 import disk_groups
from limner.nodes._flux2.checkpoint import find_checkpoint
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.single_file import Piece
from limner.nodes._flux2.size import module_bytes, tensors_bytes

LEVELS: dict[str, dict[str, Any]] = {
    "leaf": {},
    "block": {"level": "block"},
    "blocks": {"level": "block", "blocks_per_group": 2},
}


def on_disk(folder: Path, level: str = "leaf") -> Offload:
    return Offload(mode="group", disk=str(folder), **LEVELS[level])


@torch.no_grad()
def compute(live: Any, component: str) -> torch.Tensor:
    """What a component makes of a fixed input."""
    from limner.nodes._flux2.decode import decode
    from limner.nodes._flux2.references import encode_reference
    from limner.nodes._flux2.text import encode_prompt

    torch.manual_seed(0)
    if component == "text_encoder":
        return encode_prompt(live, "a red star", 64, "cpu")
    if component == "vae":
        image = (torch.arange(64 * 64 * 3) % 251).to(torch.uint8).view(64, 64, 3).numpy()
        return torch.cat([decode(live, torch.randn(1, 16, 4, 4)).flatten(), encode_reference(live, image).flatten()])
    model = live.model
    velocity: torch.Tensor = model(
        hidden_states=torch.randn(1, 6, model.config["in_channels"]).to(model.dtype),
        timestep=torch.tensor([0.5]),
        guidance=torch.tensor([2.0]) if model.config["guidance_embeds"] else None,
        encoder_hidden_states=torch.randn(1, 5, model.config["joint_attention_dim"]).to(model.dtype),
        txt_ids=torch.zeros(1, 5, 4),
        img_ids=torch.arange(24.0).view(1, 6, 4),
        return_dict=False,
    )[0]
    return velocity


def files(folder: Path) -> dict[str, int]:
    """Every file below a folder, with the time it was written; without locks, which hold nothing."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in paths}


def folders(folder: Path) -> list[Path]:
    """What lies in a folder, but for locks."""
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")


@pytest.fixture
def loader() -> Flux2Loader:
    return Flux2Loader()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_disk_gives_the_same_bits(
    load_model: Callable[..., Any],
    loader: Flux2Loader,
    tmp_path: Path,
    kind: str,
    component: str,
    dtype: str,
    level: str,
) -> None:
    """At every call, in the precision of the file and in another; and from the files of an earlier time."""
    spec = getattr(load_model(kind, dtype), component)
    wanted = compute(loader.load(spec, "cpu"), component)
    for _ in range(2):
        live = loader.load(spec, "cpu", on_disk(tmp_path, level))
        for _ in range(2):
            assert torch.equal(compute(live, component), wanted)


def test_almost_nothing_of_it_counts_as_ram(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """Nothing while it waits, one group while it is held: far from the whole."""
    spec, pool = load_model("dev").transformer, ModelPool(loader)
    with pool.hold(spec, "cpu", offload=on_disk(tmp_path)):
        held = pool.used_bytes("cpu")
    assert pool.used_bytes("cpu") == 0
    assert 0 < held < module_bytes(loader.load(spec, "cpu").model) / 4


@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
def test_what_waits_on_disk_is_allocated_nowhere(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path, component: str
) -> None:
    """Before computing and after it, weights have their shapes and dtypes, and next to no bytes of their own."""
    spec = getattr(load_model("dev"), component)
    plain, live = (_tensors(loader.load(spec, "cpu", policy)) for policy in (Offload(), on_disk(tmp_path)))
    compute(waiting := loader.load(spec, "cpu", on_disk(tmp_path)), component)
    for one in (live, _tensors(waiting)):
        assert {name: (t.shape, t.dtype) for name, t in one.items()} == {
            name: (t.shape, t.dtype) for name, t in plain.items()
        }
        assert tensors_bytes(one.values()) < tensors_bytes(plain.values()) / 20


def test_after_a_lora_what_waits_is_allocated_nowhere(load_model: Callable[..., Any], tmp_path: Path) -> None:
    """Taking it off puts diffusers' hooks on anew, and the weights wait as they did."""
    base, loader = load_model("klein").transformer, Flux2Loader()
    live = loader.load(base, "cpu", on_disk(tmp_path / "disk"))
    before = tensors_bytes(_tensors(live).values())
    file = write(tmp_path / "lora.safetensors", split(random_pairs(loader.load(base, "cpu").model)))
    with loader.adapt(live, ApplyLoRA(path=str(file)).run(FakeContext(), base)):
        compute(live, "transformer")
    assert tensors_bytes(_tensors(live).values()) == before


def _tensors(live: Any) -> dict[str, torch.Tensor]:
    module = getattr(live, "model", live)
    return dict((*module.named_parameters(), *module.named_buffers()))


def test_files_are_written_once(load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path) -> None:
    """Neither computing nor loading again touches them, also not under other ways of moving them."""
    spec = load_model("klein").transformer
    compute(loader.load(spec, "cpu", on_disk(tmp_path)), "transformer")
    before = files(tmp_path)
    compute(loader.load(spec, "cpu", on_disk(tmp_path)), "transformer")
    assert files(tmp_path) == before
    assert len(before) > 10


def test_no_two_models_share_a_file(load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path) -> None:
    """Another component, checkpoint, precision or way of grouping has a folder of its own."""
    specs = [load_model("dev").transformer, load_model("klein").transformer, load_model("dev", "bfloat16").transformer]
    for number, (spec, level) in enumerate([*((spec, "leaf") for spec in specs), (specs[0], "block")], start=1):
        loader.load(spec, "cpu", on_disk(tmp_path, level))
        assert len(folders(tmp_path)) == number


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def swap(path: Path) -> None:
    """Other content of the same length."""
    content = bytearray(path.read_bytes())
    content[-4:] = b"\1\2\3\4"
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut, swap, Path.unlink])
@pytest.mark.parametrize("name", ["groups.json", "*.safetensors"])
def test_a_file_that_is_not_what_was_written_is_not_read(
    load_model: Callable[..., Any],
    loader: Flux2Loader,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    name: str,
) -> None:
    """Cut off, changed or gone: all are written again, and nothing is left over."""
    spec = load_model("klein").transformer
    wanted = compute(loader.load(spec, "cpu", on_disk(tmp_path)), "transformer")
    before = files(tmp_path)
    spoil(max(tmp_path.rglob(name), key=lambda path: path.stat().st_size))
    assert torch.equal(compute(loader.load(spec, "cpu", on_disk(tmp_path)), "transformer"), wanted)
    assert files(tmp_path).keys() == before.keys()


def test_files_that_were_only_copied_are_read(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """Another time of writing is no other content."""
    spec = load_model("klein").transformer
    loader.load(spec, "cpu", on_disk(tmp_path))
    for path in tmp_path.rglob("*.safetensors"):
        os.utime(path, (1, 1))
    before = files(tmp_path)
    loader.load(spec, "cpu", on_disk(tmp_path))
    assert files(tmp_path) == before


@contextmanager
def file_limit(size_bytes: int) -> Iterator[None]:
    """A disk on which no file can grow past a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_disk_that_is_full_leaves_nothing_behind(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """The fault names the folder and what to try; with room, the next time is as if nothing had been."""
    spec = load_model("klein").transformer
    with file_limit(2000), pytest.raises(ModelError, match=r"cannot be kept in .*: File too large") as caught:
        loader.load(spec, "cpu", on_disk(tmp_path))
    assert "offload.disk" in str(caught.value)
    assert not folders(tmp_path)
    assert torch.equal(
        compute(loader.load(spec, "cpu", on_disk(tmp_path)), "transformer"),
        compute(loader.load(spec, "cpu"), "transformer"),
    )


def test_room_is_looked_for_before_writing(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, 10))
    with pytest.raises(ModelError, match="No space left on device"):
        loader.load(load_model("klein").transformer, "cpu", on_disk(tmp_path))
    assert not folders(tmp_path)


def test_a_folder_that_cannot_be_made(load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match=r"cannot be kept in .*file/groups: Not a directory"):
        loader.load(load_model("klein").transformer, "cpu", on_disk(tmp_path / "file" / "groups"))


def test_what_a_killed_process_left_is_removed(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """Both what it had not finished, and what it had taken away and not yet removed."""
    spec = load_model("klein").transformer
    loader.load(spec, "cpu", on_disk(tmp_path))
    (folder,) = folders(tmp_path)
    shutil.rmtree(folder)
    for kind in ("part", "broken"):
        (tmp_path / f"{folder.name}.{kind}").mkdir()
    loader.load(spec, "cpu", on_disk(tmp_path))
    assert folders(tmp_path) == [folder]


def test_threads_that_begin_together_write_once(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second reads what the first has written, and deletes nothing that is in use."""
    spec, results, written = load_model("klein").transformer, [], []
    wanted = compute(loader.load(spec, "cpu"), "transformer")
    begun, seen = threading.Barrier(2), threading.local()
    intact, write_groups = disk_groups.intact_groups, disk_groups.write_groups

    def together(folder: Path) -> Any:
        found = intact(folder)
        if not hasattr(seen, "one"):
            seen.one = begun.wait(60)
        return found

    def counted(folder: Path, *rest: Any) -> None:
        written.append(folder)
        write_groups(folder, *rest)

    monkeypatch.setattr(disk_groups, "intact_groups", together)
    monkeypatch.setattr(disk_groups, "write_groups", counted)

    def load() -> None:
        results.append(loader.load(spec, "cpu", on_disk(tmp_path)))

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1
    assert [torch.equal(compute(live, "transformer"), wanted) for live in results] == [True, True]


PROCESS = """
import sys, time
from pathlib import Path
from limner.engine.offload import Offload
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel
from limner.nodes._flux2 import disk_groups
from limner.nodes._flux2.loader import Flux2Loader

source, disk, own, other = sys.argv[1:]
intact, write_groups = disk_groups.intact_groups, disk_groups.write_groups

def together(folder):
    found = intact(folder)
    Path(own).touch()
    while not Path(other).exists():
        time.sleep(0.01)
    return found

def counted(*arguments):
    print("written")
    write_groups(*arguments)

disk_groups.intact_groups, disk_groups.write_groups = together, counted
spec = LoadModel(source=source).run(FakeContext()).transformer
Flux2Loader().load(spec, "cpu", Offload(mode="group", disk=disk))
print("loaded")
"""


def test_processes_that_begin_together_write_once(load_model: Callable[..., Any], tmp_path: Path) -> None:
    """As threads do: the lock is a file's."""
    marks = [str(tmp_path / name) for name in ("one", "two")]
    call = [sys.executable, "-c", PROCESS, str(load_model("klein").transformer.source), str(tmp_path / "disk")]
    processes = [subprocess.Popen([*call, *order], stdout=subprocess.PIPE, text=True) for order in (marks, marks[::-1])]
    said = [process.communicate(timeout=300)[0].split() for process in processes]
    assert sorted(said) == [["loaded"], ["written", "loaded"]]


def test_files_that_go_before_the_hooks_are_on_are_missed(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would be written in their place, of tensors without content; the next time, all is well."""
    spec, make_files = load_model("klein").transformer, disk_groups._make_files

    def lose(folder: Path, *rest: Any) -> Any:
        layout = make_files(folder, *rest)
        shutil.rmtree(folder)
        return layout

    with monkeypatch.context() as patch:
        patch.setattr(disk_groups, "_make_files", lose)
        with pytest.raises(ModelError, match="was removed or changed while it was in use"):
            loader.load(spec, "cpu", on_disk(tmp_path))
    wanted = compute(loader.load(spec, "cpu"), "transformer")
    assert torch.equal(compute(loader.load(spec, "cpu", on_disk(tmp_path)), "transformer"), wanted)


def test_files_that_go_under_a_lora_are_missed(load_model: Callable[..., Any], tmp_path: Path) -> None:
    """Taking it off puts diffusers' hooks on anew, which would write what they do not find."""
    base, loader = load_model("klein").transformer, Flux2Loader()
    live = loader.load(base, "cpu", on_disk(tmp_path / "disk"))
    file = write(tmp_path / "lora.safetensors", split(random_pairs(loader.load(base, "cpu").model)))
    spec = ApplyLoRA(path=str(file)).run(FakeContext(), base)
    with pytest.raises(ModelError, match="was removed or changed while it was in use"), loader.adapt(live, spec):
        shutil.rmtree(tmp_path / "disk")


class NoStream:
    """A stream of a device that has none."""

    def synchronize(self) -> None:
        """Nothing is under way."""


class StreamingBackend:
    """What diffusers asks a device for."""

    Stream = NoStream

    def __init__(self, device: Any) -> None:
        pass

    def stream(self, stream: NoStream) -> Any:
        return nullcontext()

    def current_stream(self) -> NoStream:
        return NoStream()


@pytest.mark.parametrize("level", ["leaf", "block"])
@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
def test_streams_use_the_same_files(
    load_model: Callable[..., Any],
    loader: Flux2Loader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    component: str,
    level: str,
) -> None:
    """With a stream, diffusers has one group more, of no tensors: it is not missed in the list."""
    monkeypatch.setattr(group_offloading, "TorchDeviceBackend", StreamingBackend)
    spec, offload = getattr(load_model("klein", "bfloat16"), component), on_disk(tmp_path, level)
    loader.load(spec, "cpu", offload)
    (listed,) = tmp_path.rglob("groups.json")
    before = listed.stat().st_mtime_ns
    loader.load(spec, "meta", offload.model_copy(update={"stream": True}))
    assert [path.stat().st_mtime_ns for path in tmp_path.rglob("groups.json")] == [before]


def test_what_is_computed_from_a_configuration_has_a_folder_of_its_own(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """Weights alone do not make the files: frequencies of positions are in them too."""
    folder = tmp_path / "model"
    shutil.copytree(load_model("klein").text_encoder.source, folder)
    spec = LoadModel(source=str(folder)).run(FakeContext()).text_encoder
    before = compute(loader.load(spec, "cpu", on_disk(tmp_path / "disk")), "text_encoder")
    path = folder / "text_encoder" / "config.json"
    config = json.loads(path.read_text())
    config["rope_parameters"]["rope_theta"] = 123.0
    path.write_text(json.dumps(config))
    wanted = compute(loader.load(spec, "cpu"), "text_encoder")
    assert not torch.equal(wanted, before)
    assert torch.equal(compute(loader.load(spec, "cpu", on_disk(tmp_path / "disk")), "text_encoder"), wanted)
    assert len(folders(tmp_path / "disk")) == 2


def test_how_tensors_are_made_is_part_of_the_folders_name(
    load_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another piece of a file, and another version of what computes the rest, are another folder."""
    checkpoint = find_checkpoint(load_model("klein").transformer)
    name, stored = max(checkpoint.tensors.items(), key=lambda item: item[1].size_bytes)
    piece = Piece(**vars(stored))
    ways = [stored, piece, replace(piece, rows=(1, 3)), replace(piece, is_swapped=True), replace(piece, scale="s")]

    def folder(way: Any) -> Path:
        tensors = {**checkpoint.tensors, name: way}
        return disk_groups._folder(torch.nn.Module(), tensors, torch.float32, on_disk(tmp_path))

    found = {folder(way) for way in ways}
    monkeypatch.setattr(disk_groups.transformers, "__version__", "0.0.0")
    assert len(found | {folder(stored)}) == len(ways) + 1


def test_the_time_of_a_folder_is_that_of_its_last_use(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """So that what nobody uses any more can be found."""
    spec = load_model("klein").transformer
    loader.load(spec, "cpu", on_disk(tmp_path))
    (folder,) = folders(tmp_path)
    os.utime(folder, (1, 1))
    loader.load(spec, "cpu", on_disk(tmp_path))
    assert time.time() - folder.stat().st_mtime < 3600


def test_weights_that_are_not_the_modules_are_refused(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """Missing, unknown or of another shape: named, as without offload."""
    folder = tmp_path / "model"
    shutil.copytree(load_model("klein").transformer.source, folder)
    (path,) = (folder / "transformer").glob("*.safetensors")
    tensors = safetensors.torch.load_file(path)
    good = tensors.pop("proj_out.weight")
    for change, said in (
        ({}, "lacks weights: proj_out.weight"),
        ({"proj_out.weight": good[:-1].clone()}, "misfits weights: proj_out.weight"),
        ({"proj_out.weight": good, "more": good.clone()}, "has unknown weights: more"),
    ):
        safetensors.torch.save_file(tensors | change, path)
        spec = LoadModel(source=str(folder)).run(FakeContext()).transformer
        with pytest.raises(ModelError, match=said):
            loader.load(spec, "cpu", on_disk(tmp_path / "disk"))
    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_adapters_on_groups_on_disk(load_model: Callable[..., Any], tmp_path: Path, level: str) -> None:
    """Two LoRAs of one shape are not taken for each other, and no file of the base changes."""
    base = load_model("klein").transformer
    plain, pool = ModelPool(Flux2Loader()), ModelPool(Flux2Loader())
    specs = [base]
    for seed in range(2):
        with plain.hold(base, "cpu") as live:
            file = write(tmp_path / f"{seed}.safetensors", split(random_pairs(live.model, seed)))
        specs.append(ApplyLoRA(path=str(file)).run(FakeContext(), base))
    with pool.hold(base, "cpu", offload=on_disk(tmp_path / "disk", level)):
        before = files(tmp_path / "disk")
    results = []
    for spec in (*specs, *specs):
        with plain.hold(spec, "cpu") as live:
            wanted = compute(live, "transformer")
        with pool.hold(spec, "cpu", offload=on_disk(tmp_path / "disk", level)) as live:
            for _ in range(2):
                assert torch.equal(compute(live, "transformer"), wanted)
        results.append(wanted)
    assert not torch.equal(results[1], results[2])
    assert files(tmp_path / "disk") == before
    assert pool.used_bytes("cpu") == 0


def test_the_list_says_what_diffusers_looks_for(
    load_model: Callable[..., Any], loader: Flux2Loader, tmp_path: Path
) -> None:
    """Where the list and the hooks disagree, as after a change in diffusers, nothing is computed on wrong weights."""
    spec = load_model("klein").transformer
    loader.load(spec, "cpu", on_disk(tmp_path, "block"))
    (path,) = tmp_path.rglob("groups.json")
    listed = json.loads(path.read_text())
    entry = next(one for one in listed.values() if len(one["tensors"]) > 1)
    names = list(entry["tensors"].values())
    entry["tensors"] = dict(zip(entry["tensors"], reversed(names), strict=True))
    path.write_text(json.dumps(listed))
    with pytest.raises(ModelError, match="holds other groups than diffusers makes here"):
        loader.load(spec, "cpu", on_disk(tmp_path, "block"))
