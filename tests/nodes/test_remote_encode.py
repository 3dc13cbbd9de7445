"""A prompt encoded elsewhere is that encoded here, and whatever another machine does is said clearly and bounded."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from limner import Graph, Session
from limner.engine.errors import GraphError, InputError, ModelError, NodeFailed, RemoteError
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, RemoteEncode, TextEncode, remote_encode
from limner.nodes._flux2.encoded import dump_encoded
from limner.nodes._flux2.storage import dump
from limner.nodes._prompt_warnings import PromptCut
from limner.nodes._remote.protocol import EncoderModel
from limner.nodes.values import Conditioning

PROMPT = "a blue star on a white background"
SECRET = "secret-4711"
LIAR = Path(__file__).parent / "liar.py"
MODEL = EncoderModel(
    protocol=1,
    identity="sha256:" + "0" * 64,
    source="a liar's",
    computed_by="cpu",
    dtype="float32",
    layers=[1, 2, 3],
    width=48,
    max_length=8,
    uses_negative=False,
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows what another heard, and waits between tries are short."""
    monkeypatch.setattr(remote_encode, "_known_models", remote_encode.KnownModels())
    monkeypatch.setattr("limner.nodes._remote.retry.FIRST_WAIT_S", 0.02)
    monkeypatch.setattr("limner.nodes._remote.retry.LONGEST_WAIT_S", 0.2)
    for name in ("LIMNER_TOKEN", "HF_TOKEN", "LIMNER_ENCODERS"):
        monkeypatch.delenv(name, raising=False)


def encode(node: RemoteEncode, ctx: FakeContext | None = None) -> Conditioning:
    return asyncio.run(node.run(ctx or FakeContext()))


def remote(url: str, **settings: Any) -> RemoteEncode:
    return RemoteEncode(**{"url": url, "allow_private": True, "prompt": PROMPT} | settings)


# The real service, in a process of its own


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prompt": ""},
        {"prompt": "红色圆圈", "negative_prompt": "blurred"},
        {"prompt": "word " * 60, "negative_prompt": "blurred " * 60},
        {"max_length": 7},
    ],
    ids=["plain", "empty", "negative", "too long", "short"],
)
def test_what_comes_back_equals_text_encode(
    encoder: Any, new_context: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Prompt and negative are those that TextEncode gives on the same model, to the bit; so is what is said of them."""
    monkeypatch.setenv("LIMNER_TOKEN", encoder.token)
    ctx, other = new_context(), FakeContext()
    here = TextEncode(**{"prompt": PROMPT} | settings).run(ctx, LoadModel().run(FakeContext()).text_encoder)
    there = encode(remote(encoder.url, **settings), other)
    assert other.warnings == ctx.warnings
    assert torch.equal(there.prompt, here.prompt)
    assert there.prompt.dtype == here.prompt.dtype
    assert there.negative is not None
    assert torch.equal(there.negative, here.negative)
    assert there.to_bytes() == here.to_bytes()


def test_a_token_comes_from_a_file_too(encoder: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.token").write_text(encoder.token + "\n")
    assert encode(remote(encoder.url, token_file=str(tmp_path / "mine.token"))).prompt.shape[0] == 1


@pytest.mark.parametrize(("token", "said"), [(None, "wants a token"), ("another", "refuses the token")])
def test_without_the_right_token_nothing_is_encoded(
    encoder: Any, monkeypatch: pytest.MonkeyPatch, token: str | None, said: str
) -> None:
    """A missing or wrong token is said at once, without trying again."""
    if token is not None:
        monkeypatch.setenv("LIMNER_TOKEN", token)
    with pytest.raises(InputError, match=said):
        encode(remote(encoder.url))


def test_an_expected_model_must_be_there(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_TOKEN", encoder.token)
    assert encode(remote(encoder.url, expect=encoder.identity)).prompt.shape[0] == 1
    with pytest.raises(ModelError, match="is expected"):
        encode(remote(encoder.url, expect="sha256:" + "1" * 64))


def graph_of(url: str, **settings: Any) -> Graph:
    graph = Graph("remote")
    graph.add(remote(url, **settings), id="encode")
    return graph


def test_a_pinned_result_needs_no_encoder(encoder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was encoded is used from the disk when the encoder is gone, if it is pinned; otherwise that is said."""
    monkeypatch.setenv("LIMNER_TOKEN", encoder.token)
    gone = "http://127.0.0.1:9"
    with Session(cache_dir=tmp_path) as session:
        first = session.run(graph_of(encoder.url)).outputs["encode"]["conditioning"]
    monkeypatch.delenv("LIMNER_TOKEN")
    with Session(cache_dir=tmp_path) as session:
        again = session.run(graph_of(gone, expect=encoder.identity)).outputs["encode"]["conditioning"]
        assert torch.equal(again.prompt, first.prompt)
        with pytest.raises(RemoteError, match="cannot be reached") as caught:
            session.run(graph_of(gone, retries=0))
        assert "expect" in str(caught.value.hint)
        with pytest.raises(NodeFailed, match="cannot be reached"):
            session.run(graph_of(gone, retries=0, expect=encoder.identity, prompt="another"))


def test_the_token_is_written_nowhere(
    encoder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a picture, nor a graph, a cache, a log, an event or an error holds the token."""
    monkeypatch.setenv("LIMNER_TOKEN", encoder.token)
    caplog.set_level(logging.DEBUG)
    graph = graph_of(encoder.url)
    model = graph.add(LoadModel())
    latent = graph.add(small(), transformer=model.transformer, conditioning="encode")
    image = graph.add(decoder(), vae=model.vae, latent=latent)
    graph.add(saver(tmp_path / "a.png"), images=image)
    graph.save(tmp_path / "graph.json")
    with Session(cache_dir=tmp_path / "cache") as session:
        session.run(graph)
        with pytest.raises(ModelError) as caught:
            asyncio.run(remote(encoder.url, expect="sha256:" + "1" * 64).run(FakeContext()))
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 3
    texts = [caplog.text, repr(caught.value), str(caught.value), repr(graph.document()), repr(remote(encoder.url))]
    assert not [text for text in [*written, *(t.encode() for t in texts)] if encoder.token.encode() in text]


def small() -> Any:
    from limner.nodes import Denoise

    return Denoise(steps=1, width=32, height=32)


def decoder() -> Any:
    from limner.nodes import VAEDecode

    return VAEDecode()


def saver(path: Path) -> Any:
    from limner.nodes import SaveImage

    return SaveImage(path=str(path))


# A liar


def start_liar(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, str(LIAR), str(folder), str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


class Touch:
    """Pickled, it makes a folder when it is read by a reader that runs what it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def liar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("liar")
    (folder / "model.json").write_text(MODEL.model_dump_json())
    true = torch.arange(8 * 48, dtype=torch.float32).reshape(1, 8, 48)
    bodies = {
        "true": dump_encoded([true], None, MODEL),
        "shape": dump_encoded([true[:, :4]], None, MODEL),
        "dtype": dump_encoded([true.bfloat16()], None, MODEL),
        "model": dump_encoded([true], None, MODEL.model_copy(update={"identity": "sha256:" + "1" * 64})),
        "layers": dump_encoded([true], None, MODEL.model_copy(update={"layers": [1, 2]})),
        "negative": dump_encoded([true], true, MODEL),
        "plain": safetensors.torch.save({"prompt": true}),
        "pickle": pickle.dumps(Touch(folder / "touched")),
        "header": (4 << 30).to_bytes(8, "little") + b"{" * 64,
        "html": b"<html>hello</html>",
        "echo": dump_encoded([true], None, MODEL.model_copy(update={"identity": "x" * 290 + SECRET})),
        "cut": dump_encoded([true], None, MODEL)[:-100],
        "cuts": dump_encoded([true], None, MODEL, [None, PromptCut(tokens=1, of=9, length=8, at=3)]),
        "odd_cuts": dump("Conditioning", {"prompt": true}, MODEL.metadata() | {"cuts": '[{"tokens": "all"}]'}),
    }
    for name, body in bodies.items():
        (folder / f"{name}.body").write_bytes(body)
    (folder / "huge.model.json").write_text(
        MODEL.model_copy(update={"width": 65536, "max_length": 32768}).model_dump_json()
    )
    (folder / "stranger.model.json").write_text('{"model": "of somebody else"}')
    (folder / "nonsense.model.json").write_text("[" * 10000)
    (folder / "wide.model.json").write_text(" " * 100000)
    return folder


@pytest.fixture(scope="module")
def liar(liar_folder: Path) -> Iterator[str]:
    process, port = start_liar(liar_folder)
    with process:
        yield f"http://127.0.0.1:{port}"
        process.kill()


def test_the_liar_can_tell_the_truth(liar: str) -> None:
    """So that the following tests fail for what they say."""
    assert encode(remote(f"{liar}/true")).prompt[0, 1, 2] == 50


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("shape", r"prompt is torch.float32 \(1, 4, 48\) and not torch.float32 \(1, 8, 48\)"),
        ("dtype", "prompt is torch.bfloat16"),
        ("model", "model is 'sha256:1"),
        ("layers", "layers is '1,2' and not '1,2,3'"),
        ("negative", "with the tensors"),
        ("plain", "header cannot be read"),
        ("checksum", "does not have the checksum"),
        ("unsigned", "has no checksum"),
        ("pickle", "header is not one"),
        ("header", "header is not one"),
        ("html", "header is not one"),
        ("cut", "not what its model gives"),
        ("cuts", "cuts are of 2 texts and not of 1"),
        ("odd_cuts", "cuts do not say what is cut"),
        ("empty", "header is not one"),
        ("packed", "compressed"),
        ("long", "more than"),
        ("endless", "more than"),
        ("huge", "are read at most"),
        ("stranger", "does not describe its model"),
        ("nonsense", "does not describe its model"),
        ("wide", "more than"),
    ],
)
def test_a_lie_is_refused_at_once(liar: str, liar_folder: Path, how: str, said: str) -> None:
    """What does not fit is an error that says so, without another try; nothing of it is run, and little is read."""
    ctx = FakeContext()
    with pytest.raises(RemoteError, match=said):
        encode(remote(f"{liar}/{how}", timeout_s=20), ctx)
    assert ctx.warnings == []
    assert not (liar_folder / "touched").exists()
    if how == "endless":
        sent = liar_folder / "sent"
        wait_until(lambda: sent.exists() and sent.read_text() != "")
        assert int(sent.read_text()) < 16 << 20, "the stream was read on"


def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_true():
            return
        time.sleep(0.02)
    pytest.fail("it did not come true in time")


@pytest.mark.parametrize(("how", "protocol"), [("echo", "limner"), ("hf_echo", "huggingface")])
def test_a_token_that_comes_back_in_an_answer_is_not_shown(
    liar: str, blobs: Path, monkeypatch: pytest.MonkeyPatch, how: str, protocol: str
) -> None:
    """Neither whole nor cut, and not in what a traceback shows."""
    monkeypatch.setenv("LIMNER_TOKEN", SECRET)
    with pytest.raises(RemoteError) as caught:
        encode(remote(f"{liar}/{how}", protocol=protocol))
    assert SECRET[:6] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("how", ["elsewhere", "wrong", "refusing"])
def test_a_refusal_is_not_tried_again_nor_followed(liar: str, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Redirects are not followed; a server that sends back our token does not make us show it."""
    monkeypatch.setenv("LIMNER_TOKEN", SECRET)
    ctx = FakeContext()
    with pytest.raises(InputError) as caught:
        encode(remote(f"{liar}/{how}"), ctx)
    assert ctx.warnings == []
    assert SECRET not in str(caught.value)
    if how != "elsewhere":
        assert "***" in str(caught.value)


def test_a_prompt_that_no_encoder_takes_is_not_sent(liar: str) -> None:
    with pytest.raises(InputError, match="at most 1048576 bytes"):
        encode(remote(f"{liar}/true", prompt="x" * (1 << 20)))


def test_a_busy_encoder_is_asked_again(liar: str) -> None:
    """429 and 503 are tried again, and each try is said."""
    ctx = FakeContext()
    assert encode(remote(f"{liar}/busy"), ctx).prompt.shape == (1, 8, 48)
    assert ["429" in warning or "503" in warning for warning in ctx.warnings] == [True, True]


def test_no_answer_is_tried_as_often_as_allowed(liar: str) -> None:
    ctx = FakeContext()
    with pytest.raises(RemoteError, match="broke off"):
        encode(remote(f"{liar}/nothing", retries=2), ctx)
    assert len(ctx.warnings) == 2


def test_a_slow_answer_ends_in_time(liar: str) -> None:
    """The time is for everything together, and what is left of it is not spent on tries."""
    began = time.monotonic()
    with pytest.raises(RemoteError, match="did not answer within 1 s"):
        encode(remote(f"{liar}/slow", timeout_s=1, retries=20))
    assert time.monotonic() - began < 30


def test_a_run_is_cancelled_while_it_waits(liar: str, tmp_path: Path) -> None:
    """A run that waits for an encoder stops at once when it is asked to."""
    with Session() as session:
        run = session.start(graph_of(f"{liar}/slow", timeout_s=600))
        threading.Timer(0.5, run.cancel).start()
        result = run.wait(30)
        assert result is not None
        assert result.status == "cancelled"


def test_an_encoder_that_dies_and_comes_back_answers(liar_folder: Path) -> None:
    """After ``kill -9`` in the middle of an answer, then a new process in its place: the next try succeeds."""
    with ExitStack() as running:
        first, port = start_liar(liar_folder)
        running.enter_context(first)
        running.callback(first.kill)

        def kill_and_restart() -> None:
            wait_until((liar_folder / "halved").exists)
            first.send_signal(signal.SIGKILL)
            first.wait()
            second, _ = start_liar(liar_folder, port)
            running.enter_context(second)
            running.callback(second.kill)

        thread = threading.Thread(target=kill_and_restart)
        thread.start()
        ctx = FakeContext()
        conditioning = encode(remote(f"http://127.0.0.1:{port}/half", retries=20), ctx)
        thread.join()
    assert conditioning.prompt.shape == (1, 8, 48)
    assert "broke off its answer; trying again" in ctx.warnings[0]


def test_another_model_during_a_run_fails_it(liar: str) -> None:
    """A result is never kept under the key of another model."""
    node = remote(f"{liar}/true")
    remote_encode._known_models.put(node.url, "sha256:" + "2" * 64)
    with pytest.raises(ModelError, match="run again"):
        encode(node)
    assert node.fingerprint() == MODEL.identity


# Hugging Face's form


def save(tensor: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tensor, file, **how)
    return file.getvalue()


def packed(blob: bytes) -> bytes:
    """The same archive, compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return file.getvalue()


def changed(blob: bytes, change: Callable[[str, bytes], tuple[str, bytes]]) -> bytes:
    """The same archive with other names or contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return file.getvalue()


def two_pickles(blob: bytes, evil: bytes) -> bytes:
    """An archive with another pickle beside its own, whose name differs in case only."""
    file = io.BytesIO(blob)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/DATA.PKL", evil)
    return file.getvalue()


@pytest.fixture(scope="module")
def blobs(liar_folder: Path) -> Path:
    good = torch.ones(1, 512, 16, dtype=torch.bfloat16)
    bodies = {
        "hf": save(good),
        "hf_shape": save(good[:, :100]),
        "hf_dtype": save(good.long()),
        "hf_list": save([good]),
        "hf_evil": save(Touch(liar_folder / "touched")),
        "hf_pickle": pickle.dumps(Touch(liar_folder / "touched")),
        "hf_old": save(good, _use_new_zipfile_serialization=False),
        "hf_bomb": packed(save(torch.zeros(1, 512, 400000, dtype=torch.uint8))),
        "hf_view": save(torch.zeros(1).expand(1 << 10, 1 << 10, 1 << 20)),
        "hf_sparse": save(torch.eye(3).to_sparse()),
        "hf_cut": save(good)[:-200],
        "hf_long": changed(save(good), lambda name, data: (name, data.replace(b"M\x00 ", b"J\x00\x00\x00\x10"))),
        "hf_wide": changed(save(good), lambda name, data: (name, data.replace(b"K\x10\x87", b"J\x00\x00\x40\x00\x87"))),
        "hf_memo": changed(save(good), lambda name, data: (name, data.replace(b"q\x00", b"r\xff\xff\xff\x7f"))),
        "hf_echo": changed(save(good), lambda name, data: (name, data.replace(b"BFloat16Storage", SECRET.encode()))),
        "hf_twice": two_pickles(save(good), pickle.dumps(Touch(liar_folder / "touched"))),
        "hf_behind": save(Touch(liar_folder / "touched")) + save(good),
    }
    for name, body in bodies.items():
        (liar_folder / f"{name}.body").write_bytes(body)
    return liar_folder


def test_the_form_of_hugging_face_gives_a_conditioning(liar: str, blobs: Path) -> None:
    """The body is the prompt alone; the answer is read as a tensor and nothing else."""
    ctx = FakeContext()
    found = encode(remote(f"{liar}/hf", protocol="huggingface", negative_prompt="blurred"), ctx)
    assert torch.equal(found.prompt, torch.ones(1, 512, 16, dtype=torch.bfloat16))
    assert found.negative is None
    assert ctx.warnings == ["this model uses no negative prompt: it is ignored"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("hf_shape", r"is torch.bfloat16 \(1, 100, 16\)"),
        ("hf_dtype", "names 'torch LongStorage'"),
        ("hf_list", "no plain tensor"),
        ("hf_evil", "mkdir', which no embedding needs"),
        ("hf_pickle", "not what torch.save writes"),
        ("hf_old", "not what torch.save writes"),
        ("hf_bomb", "it is packed"),
        ("hf_view", "larger than"),
        ("hf_sparse", "which no embedding needs"),
        ("hf_cut", "not what torch.save writes"),
        ("hf_long", "torch cannot read it"),
        ("hf_wide", "torch cannot read it"),
        ("hf_memo", "it uses LONG_BINPUT"),
        ("hf_twice", "it is packed"),
        ("html", "not what torch.save writes"),
        ("empty", "not what torch.save writes"),
        ("endless", "more than"),
    ],
)
def test_other_blobs_are_refused(liar: str, blobs: Path, how: str, said: str) -> None:
    """A pickle that would run something does not; bombs, views and other kinds are refused."""
    with pytest.raises(RemoteError, match=said):
        encode(remote(f"{liar}/{how}", protocol="huggingface"))
    assert not (blobs / "touched").exists()


def test_what_stands_before_an_archive_is_not_read(liar: str, blobs: Path) -> None:
    """Readers differ in which of two archives in one file they take: torch gets the one that was checked."""
    found = encode(remote(f"{liar}/hf_behind", protocol="huggingface"))
    assert torch.equal(found.prompt, torch.ones(1, 512, 16, dtype=torch.bfloat16))
    assert not (blobs / "touched").exists()


def test_the_evil_pickle_is_evil(tmp_path: Path) -> None:
    """A reader that runs what it reads would make the folder; so the tests before are true tests."""
    pickle.loads(pickle.dumps(Touch(tmp_path / "touched")))
    assert (tmp_path / "touched").exists()


def test_pickle_is_read_in_that_form_only(liar: str, blobs: Path) -> None:
    with pytest.raises(RemoteError):
        encode(remote(f"{liar}/hf"))


# Settings, before anything runs


@pytest.mark.parametrize(
    ("settings", "setting", "said"),
    [
        ({"url": "ftp://a.example"}, "url", "no URL of a service"),
        ({"url": "https://"}, "url", "no URL of a service"),
        ({"url": "https://[::1"}, "url", "no URL"),
        ({"url": "https://a.example/\r\nX: y"}, "url", "no URL of a service"),
        ({"url": "https://me:secret@a.example"}, "url", "user or a password"),
        ({"url": "https://a.example/?token=secret"}, "url", "query"),
        ({"url": "http://a.example"}, "url", "https://"),
        ({"url": "https://127.0.0.1"}, "url", "allow_private"),
        ({"url": "https://[::ffff:10.0.0.1]"}, "url", "allow_private"),
        ({"url": "https://localhost"}, "url", "allow_private"),
        ({"token_env": "AWS_SECRET_ACCESS_KEY"}, "token_env", "is not sent"),
        ({"token_env": "HF_TOKEN"}, "token_env", "huggingface.co"),
        ({"token_env": "LIMNER_TOKEN"}, "token_env", "LIMNER_ENCODERS lists"),
        ({"token_file": "~/.ssh/id_ed25519"}, "token_file", "*.token"),
        ({"token_file": "a.token", "token_env": "LIMNER_TOKEN_A"}, "token_file", "keep one"),
        ({"protocol": "huggingface", "max_length": 5}, "max_length", "512"),
        ({"protocol": "huggingface", "expect": "sha256:" + "0" * 64}, "expect", "does not say"),
    ],
)
def test_what_cannot_be_right_is_a_fault(settings: dict[str, Any], setting: str, said: str) -> None:
    """Found by checking, without asking anyone; a fault never quotes what may be a secret."""
    node = {"type": "RemoteEncode", "settings": {"url": "https://a.example"} | settings}
    with pytest.raises(GraphError) as caught:
        Session().check({"limner": 1, "name": "g", "nodes": {"encode": node}})
    (fault,) = caught.value.faults
    assert fault.where == f"nodes.encode.settings.{setting}"
    assert said in fault.message
    assert "secret" not in str(fault).replace("AWS_SECRET", "")


@pytest.mark.parametrize("content", ["", "two words", "a\nb", "ü", "x" * 5000])
def test_a_file_that_holds_no_token_is_never_quoted(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.token").write_text(content)
    with pytest.raises(InputError, match="holds no token") as caught:
        remote("http://127.0.0.1:9", token_file=str(tmp_path / "a.token")).fingerprint()
    assert not content or content not in str(caught.value)


def test_a_token_that_is_named_must_be_there() -> None:
    with pytest.raises(InputError, match="LIMNER_TOKEN_OF_MINE is not set"):
        remote("http://127.0.0.1:9", token_env="LIMNER_TOKEN_OF_MINE").fingerprint()


def test_broken_json_is_said_to_be_words(liar: str) -> None:
    ctx = FakeContext()
    encode(remote(f"{liar}/true", prompt='{"subjects": ['), ctx)
    assert ctx.warnings == ["the prompt looks like JSON and is none: it is read as words"]
