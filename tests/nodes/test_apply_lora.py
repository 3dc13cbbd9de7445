"""A LoRA is put on resident weights and taken off again; what does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import safetensors.torch
import torch
from lora_files import FORMATS, fuse, in_format, random_pairs, split, write
from torch import Tensor

from limner import Session
from limner.engine.errors import GraphError, ModelError
from limner.engine.models import ModelSpec
from limner.engine.pool import ModelPool
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA, Quantize
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes.specs import Transformer
from limner.nodes.values import Files

Apply = Callable[..., Transformer]


@pytest.fixture
def pool() -> ModelPool:
    return ModelPool(Flux2Loader())


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every model that is loaded, as it is loaded."""
    seen, load = list[str](), Flux2Loader.load

    def watched(self: Flux2Loader, spec: ModelSpec[Any], *where: Any) -> Any:
        seen.append(str(spec))
        return load(self, spec, *where)

    monkeypatch.setattr(Flux2Loader, "load", watched)
    return seen


@pytest.fixture
def base(load_model: Any) -> Transformer:
    spec: Transformer = load_model("klein").transformer
    return spec


def apply(spec: Transformer, path: Path, weight: float = 1.0) -> Transformer:
    return ApplyLoRA(path=str(path), weight=weight).run(FakeContext(), spec)


def velocity(live: Any) -> Tensor:
    """What the transformer says of a fixed input."""
    generator = torch.Generator().manual_seed(1)
    text = torch.randn(1, 3, live.text_width, generator=generator, dtype=live.model.dtype)
    tokens = torch.randn(1, 6, live.channels, generator=generator, dtype=live.model.dtype)
    with torch.no_grad():
        found: Tensor = live.model(
            hidden_states=tokens,
            encoder_hidden_states=text,
            timestep=torch.full((1,), 0.5),
            guidance=torch.full((1,), 2.0) if live.model.config["guidance_embeds"] else None,
            txt_ids=torch.zeros(1, 3, 4),
            img_ids=torch.zeros(1, 6, 4),
            return_dict=False,
        )[0]
    return found


def see(pool: ModelPool, spec: ModelSpec[Any]) -> Tensor:
    with pool.hold(spec, "cpu") as live:
        return velocity(live)


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_does_what_its_matrices_say(load_model: Any, tmp_path: Path, form: str, kind: str) -> None:
    """The sum of weights and weight * alpha / rank * B A, however the keys are written."""
    base = load_model(kind).transformer
    live = Flux2Loader().load(base, "cpu")
    pairs = random_pairs(live.model)
    tensors, metadata, scale = in_format(form, pairs, alpha=3.0)
    spec = apply(base, write(tmp_path / "a.safetensors", tensors, **metadata), 0.7)
    plain = velocity(live)
    with Flux2Loader().adapt(live, spec):
        adapted = velocity(live)
    fuse(live.model, pairs, 0.7 * scale)
    fused = velocity(live)
    torch.testing.assert_close(adapted, fused, rtol=1e-4, atol=1e-5)
    assert (adapted - plain).abs().max() > 1e-2


def test_in_half_precision(load_model: Any, tmp_path: Path) -> None:
    """A LoRA in float32 changes a model in bfloat16, and leaves it in bfloat16."""
    base = load_model("klein", "bfloat16").transformer
    live = Flux2Loader().load(base, "cpu")
    pairs = random_pairs(live.model)
    with Flux2Loader().adapt(live, apply(base, write(tmp_path / "a.safetensors", split(pairs)))):
        adapted = velocity(live)
    fuse(live.model, pairs, 1.0)
    assert adapted.dtype == torch.bfloat16
    torch.testing.assert_close(adapted, velocity(live), rtol=0.1, atol=0.1)


@pytest.fixture
def files(base: Transformer, tmp_path: Path) -> list[Path]:
    """Three LoRAs."""
    model = Flux2Loader().load(base, "cpu").model
    return [write(tmp_path / f"{seed}.safetensors", split(random_pairs(model, seed))) for seed in range(3)]


def test_off_again_is_the_base_to_the_bit(
    pool: ModelPool, loads: list[str], base: Transformer, files: list[Path]
) -> None:
    """One load serves the base, each LoRA and each weight; afterwards every tensor and output is what it was."""
    loads.clear()
    with pool.hold(base, "cpu") as live:
        before = {name: tensor.clone() for name, tensor in live.model.state_dict().items()}
        plain, size = velocity(live), pool.used_bytes("cpu")
    results = [see(pool, apply(base, files[0], weight)) for weight in (1.0, -1.0, 0.5)]
    assert all(not torch.equal(one, plain) for one in results)
    assert loads == [str(base)]
    with pool.hold(base, "cpu") as live:
        after = live.model.state_dict()
        assert list(after) == list(before)
        assert all(torch.equal(after[name], before[name]) for name in before)
        assert torch.equal(velocity(live), plain)
    assert pool.used_bytes("cpu") == size


def test_a_weight_of_zero_is_the_base_to_the_bit(pool: ModelPool, base: Transformer, files: list[Path]) -> None:
    plain = see(pool, base)
    assert torch.equal(see(pool, apply(base, files[0], 0.0)), plain)
    alone, beside = apply(base, files[0]), apply(apply(base, files[1], 0.0), files[0])
    assert torch.equal(see(pool, beside), see(pool, alone))


def test_a_negative_weight_takes_away(pool: ModelPool, base: Transformer, files: list[Path]) -> None:
    """The same LoRA with 1 and -1 is the base, but for rounding."""
    torch.testing.assert_close(see(pool, apply(apply(base, files[0]), files[0], -1.0)), see(pool, base))


def test_the_order_does_not_matter(pool: ModelPool, base: Transformer, files: list[Path]) -> None:
    """To the bit: any order is the same spec."""
    ahead, back = base, base
    for path in files:
        ahead = apply(ahead, path, 0.8)
    for path in reversed(files):
        back = apply(back, path, 0.8)
    assert ahead == back
    assert ahead.base == base
    assert torch.equal(see(pool, ahead), see(pool, back))
    assert not torch.equal(see(pool, ahead), see(pool, apply(base, files[0], 0.8)))


@pytest.mark.parametrize("method", ["nf4", "int8", "layerwise-fp8", "int8-wo", "fp8-wo", "quanto-int8"])
@pytest.mark.filterwarnings("ignore:`Quanto:FutureWarning")  # diffusers deprecates its quanto loader
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # torchao, on import
def test_on_quantized_weights(pool: ModelPool, base: Transformer, files: list[Path], method: Any) -> None:
    """On, it changes what comes out; off, the quantized weights speak alone, to the bit."""
    if method in ("int8-wo", "fp8-wo"):
        pytest.importorskip("torchao")
    if method.startswith("quanto"):
        pytest.importorskip("optimum.quanto")
    quantized = Quantize(method=method).run(FakeContext(), base)
    plain = see(pool, quantized)
    adapted = see(pool, apply(quantized, files[0]))
    torch.testing.assert_close(adapted, see(pool, apply(base, files[0])), rtol=0.2, atol=0.2)
    assert (adapted - plain).abs().max() > 0.05
    assert torch.equal(see(pool, quantized), plain)


def renamed(old: str, new: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (renamed("transformer.t", "t"), r"transformer_blocks\.0\.attn\.add_k_proj\.lora_A\.weight, .* and 13 more"),
        (renamed("transformer.", "text_encoder."), r"text_encoder\.single_.*: such keys belong to no transformer"),
        (lambda tensors: tensors | {"transformer.x.diff": torch.ones(1)}, r"transformer\.x\.diff: these are no LoRA"),
        (lambda tensors: tensors | {"transformer.x.lokr_w1": torch.ones(1)}, "is a LoKr, and only plain LoRA"),
        (lambda tensors: tensors | {"transformer.x.dora_scale": torch.ones(1)}, "is a DoRA"),
        (lambda tensors: {}, "is empty"),
    ],
    ids=["unprefixed", "text encoder", "diff", "lokr", "dora", "empty"],
)
def test_names_that_are_no_lora_are_a_fault_of_the_graph(
    base: Transformer, files: list[Path], tmp_path: Path, change: Any, fault: str
) -> None:
    """Nothing is passed over in silence; it is found while checking, from the header alone."""
    path = write(tmp_path / "bad.safetensors", change(safetensors.torch.load_file(files[0])))
    (problem,) = ApplyLoRA(path=str(path)).problems()
    assert problem[0] == "path"
    assert re.search(fault, problem[1]), problem[1]
    with (
        pytest.raises(ModelError, match=fault),
        Flux2Loader().adapt(Flux2Loader().load(base, "cpu"), apply(base, path)),
    ):
        pass


def other_shape(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: torch.cat([t, t], 1) if n.endswith("to_q.lora_A.weight") else t for n, t in tensors.items()}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (other_shape, r"misfits this transformer: transformer_blocks\.0\.attn\.to_q \(16x32 for 16x16\)"),
        (renamed("blocks.0", "blocks.7"), r"transformer_blocks\.7\..*: this transformer has no such layers"),
        (renamed("attn.to_q.lora_A", "attn.norm_q.lora_A"), "no such layers"),
        (lambda tensors: dict(sorted(tensors.items())[1:]), r"to_out\.lora_B\.weight: the other half is missing"),
        (lambda tensors: {name: tensor * torch.nan for name, tensor in tensors.items()}, "numbers that are not finite"),
    ],
    ids=["shape", "block", "layer", "half", "nan"],
)
def test_a_lora_of_another_model_names_its_keys(
    pool: ModelPool, base: Transformer, files: list[Path], tmp_path: Path, change: Any, fault: str
) -> None:
    """The transformer is afterwards what it was."""
    plain = see(pool, base)
    path = write(tmp_path / "bad.safetensors", change(safetensors.torch.load_file(files[0])))
    with pytest.raises(ModelError, match=fault):
        see(pool, apply(apply(base, files[1]), path))
    assert torch.equal(see(pool, base), plain)


@pytest.mark.parametrize("form", FORMATS)
def test_a_lora_of_another_size_of_model_is_refused_by_the_plan(load_model: Any, tmp_path: Path, form: str) -> None:
    """By its header, whatever trainer wrote it; one for this model passes."""
    base = load_model("klein").transformer
    tensors, metadata, _ = in_format(form, random_pairs(Flux2Loader().load(base, "cpu").model), 3.0)
    down = ("lora_A.weight", "lora_down.weight")
    wide = {n: torch.cat([t, t[:, :7]], 1) if n.endswith(down) else t for n, t in tensors.items()}
    fits, misfits = (
        ApplyLoRA(path=str(write(tmp_path / f"{name}.safetensors", content, **metadata)))
        for name, content in (("fits", tensors), ("wide", wide))
    )
    assert fits.forecast("cpu", {"transformer": base}).outputs == (fits.run(FakeContext(), base),)
    with pytest.raises(GraphError, match="is for another transformer"):
        misfits.forecast("cpu", {"transformer": base})


@pytest.mark.parametrize("form", ["ai-toolkit", "comfyui", "kohya"])
def test_leftovers_of_a_conversion_are_named(base: Transformer, tmp_path: Path, form: str) -> None:
    live = Flux2Loader().load(base, "cpu")
    tensors, _, _ = in_format(form, random_pairs(live.model), alpha=1.0)
    odd = {name.replace("img_mlp", "img_odd"): tensor for name, tensor in tensors.items()}
    path = write(tmp_path / "odd.safetensors", odd)
    with pytest.raises(ModelError, match="img_odd"), Flux2Loader().adapt(live, apply(base, path)):
        pass


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\x02\0\0\0\0\0\0\0[]"], ids=["empty", "pickle", "list"])
def test_what_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    ((_, message),) = ApplyLoRA(path=str(path)).problems()
    assert "is not safetensors" in message


def test_only_the_file_itself_will_do(tmp_path: Path) -> None:
    """A pickle is not even opened."""
    (tmp_path / "a.bin").write_bytes(b"")
    cases = {"gone.safetensors": "there is no file", "a.bin": "is not a .safetensors file", "": "is not a file"}
    for name, message in cases.items():
        ((_, found),) = ApplyLoRA(path=str(tmp_path / name)).problems()
        assert message in found


def test_a_file_that_changes_is_another_lora(base: Transformer, files: list[Path]) -> None:
    """The content counts, not the name; a change between keying and use is an error."""
    node, spec = ApplyLoRA(path=str(files[0])), apply(base, files[0])
    before = node.fingerprint()
    files[0].write_bytes(files[1].read_bytes())
    assert node.fingerprint() != before
    assert apply(base, files[0]) != spec
    with pytest.raises(ModelError, match="has changed"), Flux2Loader().adapt(Flux2Loader().load(base, "cpu"), spec):
        pass


def test_weights_change_between_runs_and_nothing_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: list[str]
) -> None:
    """On the embedded model: another weight denoises again, and neither encodes the prompt nor loads a model."""
    monkeypatch.chdir(tmp_path)
    model = Flux2Loader().load(Transformer("tiny"), "cpu").model
    path = write(tmp_path / "a.safetensors", split(random_pairs(model, size=0.05)))
    loads.clear()
    with Session() as session:

        def draw(graph: str, **values: Any) -> bytes:
            (files,) = session.run(graph, steps=1, width=32, height=32, **values).values(Files)
            with PIL.Image.open(files.paths[0]) as image:
                return image.tobytes()

        plain = draw("text_to_image")
        pictures = [draw("lora", lora=str(path), weight=weight) for weight in (0.0, 1.0, 0.0, -1.0)]
    assert pictures[0] == pictures[2] == plain
    assert len(set(pictures)) == 3
    assert sorted(loads) == [f"the {part} of tiny" for part in ("text encoder", "transformer", "vae")]


def test_names_are_for_people(base: Transformer, files: list[Path]) -> None:
    """A name is the file's where none is given, and changes nothing else."""
    (unnamed,) = apply(base, files[0]).loras
    (named,) = ApplyLoRA(path=str(files[0]), name="moon").run(FakeContext(), base).loras
    assert (unnamed.name, named.name) == ("0", "moon")
    assert replace(named, name="0") == unnamed
    assert str(replace(base, loras=(named, unnamed))) == f"{base} with moon and 0"
