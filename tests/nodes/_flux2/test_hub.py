"""The hub gives what a component needs and no more; where it refuses, one line says what to do.

A real process talks to a small server that answers as the hub does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import COMMIT, Hub, surroundings

FIND = """
import sys
from limner.engine.errors import LimnerError
from limner.nodes._flux2.source import find
try:
    folder = find(sys.argv[1], sys.argv[2], sys.argv[3] or None)
    print("\\n".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())))
except LimnerError as error:
    print(error)
    print("torch" in sys.modules)
"""

ALOUD = """
import sys, time
from limner.engine.errors import Cancelled
from limner.nodes._flux2.source import find
heard = []
def report(done, total):
    heard.append((done, total))
    if sys.argv[1] == "stop" and len(heard) == 3:
        raise Cancelled
try:
    find("someone/flux", "vae", None, report)
except Cancelled:
    print("stopped", flush=True)
print(*(f"{done}/{total}" for done, total in heard), flush=True)
"""


@pytest.fixture
def hub(model_folder: Any) -> Iterator[Hub]:
    server = Hub(model_folder("klein"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def find(
    url: str, home: Path, component: str = "vae", *, revision: str = "", source: str = "someone/flux", **settings: str
) -> list[str]:
    """The files that ``find`` fetched, or the lines of its error."""
    command = [sys.executable, "-c", FIND, source, component, revision]
    environment = surroundings(url, home, **settings)
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    return run.stdout.splitlines()


def find_aloud(url: str, home: Path, mode: str) -> subprocess.Popen[str]:
    """A process that downloads and keeps what it is told of it; in the mode "stop" it cancels at the third report."""
    command = [sys.executable, "-c", ALOUD, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings(url, home))


def test_only_the_files_of_the_component_are_fetched(hub: Hub, tmp_path: Path) -> None:
    """And none twice; without a network, what is there is enough."""
    common = ["limner.json", "model_index.json", "vae/config.json"]
    vae = sorted([*common, "vae/diffusion_pytorch_model.safetensors"])
    assert find(hub.url, tmp_path) == vae
    assert sorted(hub.served) == vae
    assert find(hub.url, tmp_path) == vae
    assert sorted(hub.served) == vae
    assert find(hub.url, tmp_path, HF_HUB_OFFLINE="1") == vae

    transformer = {"transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"}
    assert set(find(hub.url, tmp_path, "transformer")) == {*vae, *transformer, "scheduler/scheduler_config.json"}
    hub.served.clear()
    assert any(name.startswith("tokenizer/") for name in find(hub.url, tmp_path, "text_encoder"))
    assert {name.split("/")[0] for name in hub.served} == {"text_encoder", "tokenizer"}


@pytest.mark.parametrize(
    ("status", "code", "files_only", "message", "hint"),
    [
        (
            403,
            "GatedRepo",
            False,
            "someone/flux asks you to accept its licence",
            "accept it at https://huggingface.co/",
        ),
        (401, "GatedRepo", True, "someone/flux asks you to accept its licence", "run `hf auth login` or set HF_TOKEN"),
        (401, "RepoNotFound", False, "the hub has no model someone/flux, or it is private", "check the name"),
        (404, "RepoNotFound", False, "the hub has no model someone/flux, or it is private", "set HF_TOKEN"),
        (404, "RevisionNotFound", False, "someone/flux has no revision v9", "give a branch, a tag or a commit"),
    ],
)
def test_a_refusal_says_what_to_do(
    hub: Hub, tmp_path: Path, status: int, code: str, files_only: bool, message: str, hint: str
) -> None:
    hub.refusal, hub.refuses_files_only = (status, code), files_only
    lines = find(hub.url, tmp_path, revision="v9")
    assert lines[0] == message
    assert hint in lines[1]
    assert lines[2:] == ["False"]


@pytest.mark.parametrize("settings", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["unreachable", "offline"])
def test_no_network_says_so(tmp_path: Path, settings: dict[str, str]) -> None:
    lines = find("http://127.0.0.1:9", tmp_path, **settings)
    assert lines[0] == "someone/flux is not on this machine, and the hub cannot be reached"
    assert "connect once" in lines[1]


def test_a_line_that_breaks_is_one_clear_line(hub: Hub, tmp_path: Path) -> None:
    """The server hangs up in the middle of the weights; what is there is kept, and a second try goes on."""
    hub.breaks_after = 100
    lines = find(hub.url, tmp_path)
    assert lines[0].startswith("someone/flux could not be downloaded: ")
    hub.breaks_after = None
    assert "vae/diffusion_pytorch_model.safetensors" in find(hub.url, tmp_path)


def test_another_kind_of_model_is_refused(hub: Hub, tmp_path: Path) -> None:
    """What comes from the hub is checked like a folder."""
    hub.folder = tmp_path / "other"
    (hub.folder / "vae").mkdir(parents=True)
    (hub.folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    lines = find(hub.url, tmp_path / "home")
    assert "is a 'StableDiffusionPipeline', not a FLUX.2 pipeline" in lines[0]


def test_a_download_says_how_far_it_is(hub: Hub, tmp_path: Path) -> None:
    """In bytes, from the first one on and of all that is missing; what is there already is not spoken of."""
    hub.goes_on.clear()
    process = find_aloud(hub.url, tmp_path, "go")
    threading.Timer(4, hub.goes_on.set).start()
    heard = [tuple(map(int, entry.split("/"))) for entry in process.communicate(timeout=60)[0].split()]
    names = ("limner.json", "model_index.json", "vae/config.json", "vae/diffusion_pytorch_model.safetensors")
    total = sum((hub.folder / name).stat().st_size for name in names)
    assert heard[0] == (0, total)
    assert {size for _, size in heard} == {total}
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert find_aloud(hub.url, tmp_path, "go").communicate(timeout=60)[0] == "\n"


def test_a_download_that_stands_still_can_be_stopped(hub: Hub, tmp_path: Path) -> None:
    """At once, although no byte comes; what is here stays, and the next download ends."""
    hub.goes_on.clear()
    process = find_aloud(hub.url, tmp_path, "stop")
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped\n"
    assert not hub.goes_on.is_set()
    hub.goes_on.set()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert "vae/diffusion_pytorch_model.safetensors" in find(hub.url, tmp_path)


IDENTITY = """
from limner.nodes._flux2.source import identify
print(identify("someone/flux", None), identify("someone/flux", "v9"), identify("someone/flux", "../../secret"))
"""


def test_what_was_downloaded_is_known_by_its_commit(hub: Hub, tmp_path: Path) -> None:
    """So that new weights are another model, also offline; and every component comes from that commit."""

    def identity() -> list[str]:
        command, environment = [sys.executable, "-c", IDENTITY], surroundings(hub.url, tmp_path)
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()

    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "secret").write_text("0" * 40)
    named = ["hub:someone/flux@main", "hub:someone/flux@v9", "hub:someone/flux@../../secret"]
    assert identity() == named
    find(hub.url, tmp_path)
    assert identity() == [f"hub:someone/flux@{COMMIT}", *named[1:]]
    (refs,) = tmp_path.glob("hub/models--someone--flux/refs/main")
    refs.write_text("1" * 40)
    assert identity()[0] == f"hub:someone/flux@{'1' * 40}"


def test_files_of_layers_that_are_not_read_stay_where_they_are(hub: Hub, tmp_path: Path) -> None:
    """The index is fetched first, and says which shards of the text encoder hold what is read."""
    hub.folder = Path(shutil.copytree(hub.folder, tmp_path / "model"))
    settings = json.loads((hub.folder / "limner.json").read_text())
    settings["text"]["out_layers"] = [1]
    (hub.folder / "limner.json").write_text(json.dumps(settings))
    encoder = hub.folder / "text_encoder"
    shards = {"model.embed_tokens.weight": "a.safetensors", "model.layers.1.x": "a.safetensors", "lm_head.x": "b"}
    shards["model.layers.2.x"] = "c.safetensors"
    (encoder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (encoder / "model.safetensors").rename(encoder / "a.safetensors")
    (encoder / "c.safetensors").write_bytes(b"")
    found = find(hub.url, tmp_path / "home", "text_encoder")
    assert "text_encoder/a.safetensors" in found
    assert not {"text_encoder/b", "text_encoder/c.safetensors"} & {*found, *hub.served}
