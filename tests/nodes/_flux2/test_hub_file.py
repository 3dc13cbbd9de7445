"""Single files of the hub: named, pinned, fetched once, and refused in words."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from fake_hub import COMMIT, Hub, surroundings
from lora_files import random_pairs, split

from limner.engine.errors import InputError
from limner.nodes import ApplyLoRA
from limner.nodes._flux2.hub_file import HubFile, locate

ENDINGS = (".safetensors",)
SCRIPT = """
import sys
from limner.engine.errors import LimnerError
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA
from limner.nodes._flux2.hub_file import commit_of, fetch, locate
from limner.nodes.specs import Transformer
try:
    node = ApplyLoRA(path=sys.argv[1], revision=sys.argv[2] or None)
    print(*(message for _, message in node.problems()))
    (lora,) = node.run(FakeContext(), Transformer("tiny")).loras
    print(lora.identity)
    print(fetch(locate(lora.path, [".safetensors"]), commit_of(lora.identity) or node.revision, [".safetensors"]).name)
    print(node.fingerprint())
    print(*(message for _, message in node.problems()))
except LimnerError as error:
    print(error)
"""


APPLY = """
import sys, torch
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes.specs import Transformer
spec = Transformer(sys.argv[1])
live = Flux2Loader().load(spec, "cpu")
with Flux2Loader().adapt(live, ApplyLoRA(path="someone/flux").run(FakeContext(), spec)):
    print(sorted(name for name, _ in live.model.named_parameters() if "lora_A" in name)[0])
"""


@pytest.fixture
def hub(load_model: Any, tmp_path: Path) -> Iterator[Hub]:
    """A repository with one LoRA."""
    from limner.nodes._flux2.loader import Flux2Loader

    folder = tmp_path / "repository"
    folder.mkdir()
    model = Flux2Loader().load(load_model("klein").transformer, "cpu").model
    safetensors.torch.save_file(split(random_pairs(model)), folder / "moon.safetensors")
    (folder / "README.md").write_text("a LoRA")
    server = Hub(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def use(hub: Hub | str, home: Path, path: str, revision: str = "", **settings: str) -> list[str]:
    """What a process says that uses a LoRA, line by line."""
    url = hub if isinstance(hub, str) else hub.url
    command, environment = [sys.executable, "-c", SCRIPT, path, revision], surroundings(url, home, **settings)
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120)
    return run.stdout.splitlines()


@pytest.mark.parametrize("path", ["someone/flux", "someone/flux/moon.safetensors"])
def test_a_lora_is_fetched_once(hub: Hub, tmp_path: Path, path: str) -> None:
    """When it is first needed; from then on it is known by its commit, and needs no network."""
    lines = use(hub, tmp_path / "home", path)
    assert lines == ["", f"hub:{path}@main", "moon.safetensors", f"hub:{path}@{COMMIT}", ""]
    assert hub.served == ["moon.safetensors"]
    again = ["", f"hub:{path}@{COMMIT}", "moon.safetensors", f"hub:{path}@{COMMIT}", ""]
    assert use(hub, tmp_path / "home", path) == again
    assert use("http://127.0.0.1:9", tmp_path / "home", path, HF_HUB_OFFLINE="1") == again
    assert hub.served == ["moon.safetensors"]


def test_a_lora_of_the_hub_is_put_on(hub: Hub, tmp_path: Path, model_folder: Any) -> None:
    """As one that is here."""
    command = [sys.executable, "-c", APPLY, str(model_folder("klein"))]
    environment = surroundings(hub.url, tmp_path / "home")
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=300)
    assert run.stdout == "single_transformer_blocks.0.attn.to_out.lora_A.lora_0.weight\n"


def test_several_files_are_named(hub: Hub, tmp_path: Path) -> None:
    """None of them is guessed."""
    shutil.copy(hub.folder / "moon.safetensors", hub.folder / "sun.safetensors")
    lines = use(hub, tmp_path / "home", "someone/flux")
    assert lines[-2] == "someone/flux has several files: moon.safetensors, sun.safetensors"
    assert lines[-1] == "  name one: someone/flux/moon.safetensors"
    assert hub.served == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("someone/flux/gone.safetensors", "someone/flux has no file gone.safetensors"),
        ("someone/flux/README.md", "someone/flux/README.md is not a file that is read (give one that ends in"),
    ],
)
def test_what_is_not_there(hub: Hub, tmp_path: Path, path: str, message: str) -> None:
    assert any(line.startswith(message) for line in use(hub, tmp_path / "home", path))


def test_a_repository_without_weights(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "moon.safetensors").unlink()
    assert use(hub, tmp_path / "home", "someone/flux")[-1] == "someone/flux has no .safetensors file"


def test_no_network_says_so(tmp_path: Path) -> None:
    lines = use("http://127.0.0.1:9", tmp_path, "someone/flux/moon.safetensors", HF_HUB_OFFLINE="1")
    assert lines[-2] == "someone/flux is not on this machine, and the hub cannot be reached"


def test_what_was_downloaded_is_checked_before_it_is_used(hub: Hub, tmp_path: Path) -> None:
    """As a local file is: what the names tell is a fault of the graph."""
    safetensors.torch.save_file({"odd": torch.zeros(1)}, hub.folder / "moon.safetensors")
    lines = use(hub, tmp_path / "home", "someone/flux/moon.safetensors")
    assert "odd: such keys belong to no transformer" in lines[-1]


@pytest.mark.parametrize("name", ["loras/a/b.safetensors", "./a/b.safetensors", "b.safetensors", "a/b.safetensors"])
def test_local_names_stay_local(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in a folder that exists is never looked for on the hub, and neither is a lone file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loras").mkdir()
    with pytest.raises(InputError, match="there is no file"):
        locate(name, ENDINGS)


@pytest.mark.parametrize(
    ("name", "repo", "path"),
    [
        ("someone/flux", "someone/flux", ""),
        ("someone/flux.v2", "someone/flux.v2", ""),
        ("someone/flux/moon.safetensors", "someone/flux", "moon.safetensors"),
        ("someone/flux/loras/moon.safetensors", "someone/flux", "loras/moon.safetensors"),
    ],
)
def test_names_on_the_hub(name: str, repo: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(name, ENDINGS) == HubFile(repo, path)
    with pytest.raises(InputError, match="is not a file that is read"):
        locate("someone/flux/../x.safetensors", ENDINGS)


def test_a_revision_is_of_the_hub(tmp_path: Path) -> None:
    """A setting that would be ignored is a fault."""
    safetensors.torch.save_file({"transformer.x.lora_A.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    ((setting, _),) = ApplyLoRA(path=str(tmp_path / "a.safetensors"), revision="v1").problems()
    assert setting == "revision"
