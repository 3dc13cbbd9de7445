"""GGUF files: what their blocks say is what is computed with; what is missing or misfits is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor
from lora_files import random_pairs, split
from lora_files import write as write_lora
from single_files import bfl_transformer

from limner.engine.errors import ModelError
from limner.engine.offload import Offload
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA, LoadTransformer, Quantize
from limner.nodes._flux2 import gguf_file
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.sampling import Plan, denoise
from limner.nodes._flux2.single_file_names import transformer_names
from limner.nodes._flux2.weigh import unpacked_bytes, weigh
from limner.nodes.values import Conditioning

gguf: Any = pytest.importorskip("gguf", reason="needs the extra gguf")

TYPES = ("Q8_0", "Q4_0", "Q4_K", "Q6_K", "F16", "BF16")


@pytest.fixture(scope="module")
def base(model_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose rows are as long as GGML's largest blocks, 256."""
    from diffusers import Flux2Transformer2DModel

    folder = Path(shutil.copytree(model_folder("klein"), tmp_path_factory.mktemp("gguf") / "base"))
    torch.manual_seed(0)
    model: Any = Flux2Transformer2DModel(
        in_channels=256,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=128,
        num_attention_heads=2,
        joint_attention_dim=256,
        axes_dims_rope=(32, 32, 32, 32),
        guidance_embeds=False,
    )
    shutil.rmtree(folder / "transformer")
    model.save_pretrained(folder / "transformer")
    document = json.loads((folder / "limner.json").read_text())
    (folder / "limner.json").write_text(json.dumps({key: document[key] for key in ("text", "defaults")}))
    return folder


def plain(base: Path) -> Any:
    from diffusers import Flux2Transformer2DModel

    return Flux2Transformer2DModel.from_pretrained(base / "transformer")


def blocks(tensor: np.ndarray[Any, Any], kind: Any) -> np.ndarray[Any, Any]:
    """A matrix in a type of GGML; for types that the package only reads, blocks with random codes and small scales."""
    try:
        quantized: np.ndarray[Any, Any] = gguf.quants.quantize(tensor, kind)
    except NotImplementedError:
        size, width = gguf.GGML_QUANT_SIZES[kind]
        random = np.random.default_rng(int(tensor.size))
        quantized = random.integers(0, 256, (*tensor.shape[:-1], tensor.shape[-1] // size, width), dtype=np.uint8)
        scales = np.array([1e-4], np.float16).view(np.uint8)
        for offset in (0, 2) if kind.name == "Q4_K" else (width - 2,):
            quantized[..., offset : offset + 2] = scales
        quantized = quantized.reshape(*tensor.shape[:-1], -1)
    return quantized


def write(path: Path, base: Path, kind_name: str, prefix: str = "", **extra: Any) -> dict[str, torch.Tensor]:
    """A file as conversion tools write it: matrices in blocks, norms in float32. Gives what the blocks stand for."""
    kind, writer = getattr(gguf.GGMLQuantizationType, kind_name), gguf.GGUFWriter(path, "flux2")
    meant = {}
    for name, tensor in (bfl_transformer(plain(base)) | extra).items():
        values = tensor.numpy()
        if tensor.ndim == 2:
            content = blocks(values, kind)
            writer.add_tensor(prefix + name, content, raw_dtype=kind)
            values = gguf.quants.dequantize(content, kind)
        else:
            writer.add_tensor(prefix + name, values)
        meant[name] = torch.from_numpy(np.array(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def load(file: Path, base: Path, dtype: Any = "float32") -> Any:
    spec = LoadTransformer(file=str(file), base=str(base), dtype=dtype).run(FakeContext())
    return Flux2Loader().load(spec, "cpu"), spec


def velocity(live: Any) -> torch.Tensor:
    prompt = torch.randn(1, 4, 256, generator=torch.Generator().manual_seed(0))
    plan = Plan(steps=1, guidance=1.0, seeds=range(1), width=32, height=32)
    return next(denoise(live, plan, Conditioning(prompt.to(live.model.dtype)), None, "cpu")).velocity


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_what_is_computed_is_what_the_blocks_say(base: Path, tmp_path: Path, kind: str, prefix: str) -> None:
    """Every layer unpacks to the values that the package reads from its blocks, to the half precision of diffusers."""
    file = tmp_path / "t.gguf"
    meant = write(file, base, kind, prefix)
    assert list(LoadTransformer(file=str(file), base=str(base)).problems()) == []
    live, spec = load(file, base)
    assert Flux2Loader().size_bytes(live) == pytest.approx(Flux2Loader().expect(spec, "cpu").waiting["cpu"], rel=0.001)
    own = {}
    for name, tensor in meant.items():
        targets = transformer_names(name)
        rows = torch.cat(tensor.chunk(2)[::-1]) if "adaLN" in name else tensor
        own |= dict(zip(targets, rows.chunk(len(targets)), strict=True))
    found = live.model.state_dict(keep_vars=True)
    assert found.keys() == own.keys()
    for name, tensor in found.items():
        error = (dequantize_gguf_tensor(tensor).float() - own[name]).norm() / own[name].norm()
        assert error < 2e-3, name
    assert velocity(live).isfinite().all()


def test_it_is_near_the_model_it_was_made_from(base: Path, tmp_path: Path) -> None:
    """And takes the bytes that the file takes."""
    write(tmp_path / "t.gguf", base, "Q8_0")
    live, _ = load(tmp_path / "t.gguf", base)
    exact = velocity(type(live)(**{**vars(live), "model": plain(base).eval()}))
    assert 0 < ((velocity(live) - exact).norm() / exact.norm()).item() < 0.03
    assert Flux2Loader().size_bytes(live) < 0.3 * sum(t.nbytes for t in plain(base).state_dict().values())


def test_in_half_precision(base: Path, tmp_path: Path) -> None:
    """``dtype`` is what is computed in; blocks stay as they are."""
    write(tmp_path / "t.gguf", base, "Q8_0")
    (half, _), (full, _) = load(tmp_path / "t.gguf", base, "bfloat16"), load(tmp_path / "t.gguf", base)
    assert velocity(half).dtype == torch.bfloat16
    torch.testing.assert_close(velocity(half).float(), velocity(full), rtol=0.1, atol=0.05)


def test_a_lora_goes_on_top(base: Path, tmp_path: Path) -> None:
    """On, it changes what comes out; off, the blocks speak alone, to the bit."""
    write(tmp_path / "t.gguf", base, "Q8_0")
    live, spec = load(tmp_path / "t.gguf", base)
    pairs = random_pairs(plain(base), size=0.1)
    lora = ApplyLoRA(path=str(write_lora(tmp_path / "a.safetensors", split(pairs)))).run(FakeContext(), spec)
    before = velocity(live)
    with Flux2Loader().adapt(live, lora):
        assert (velocity(live) - before).abs().max() > 0.01
    assert torch.equal(velocity(live), before)


def test_it_is_quantized_already(base: Path, tmp_path: Path) -> None:
    write(tmp_path / "t.gguf", base, "Q8_0")
    spec = LoadTransformer(file=str(tmp_path / "t.gguf"), base=str(base)).run(FakeContext())
    with pytest.raises(ModelError, match=r"t\.gguf is quantized already"):
        Flux2Loader().load(Quantize().run(FakeContext(), spec), "cpu")


def test_what_misfits_is_named(base: Path, tmp_path: Path) -> None:
    """While checking."""
    write(tmp_path / "t.gguf", base, "Q8_0", **{"odd.weight": torch.ones(2, 32)})
    ((_, fault),) = LoadTransformer(file=str(tmp_path / "t.gguf"), base=str(base)).problems()
    assert fault.endswith("has unknown weights: odd.weight")
    (_, first), *_ = LoadTransformer(file=str(tmp_path / "t.gguf"), base="tiny").problems()
    assert first.endswith("has 1 double and 1 single blocks, and the base 1 and 5")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"\x80\x04K\x01." * 20])
def test_what_is_not_gguf_is_one_clear_line(base: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.gguf").write_bytes(content)
    ((setting, fault),) = LoadTransformer(file=str(tmp_path / "t.gguf"), base=str(base)).problems()
    assert setting == "file"
    assert "t.gguf is not GGUF" in fault
    assert "\n" not in fault


def test_without_the_package_it_says_which(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While checking, with the command that brings it."""
    write(tmp_path / "t.gguf", base, "Q8_0")
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None)
    ((setting, fault),) = LoadTransformer(file=str(tmp_path / "t.gguf"), base=str(base)).problems()
    assert setting == "file"
    assert fault.endswith('needs gguf to be read (pip install "limner[gguf]")')


def test_it_can_wait_group_by_group(base: Path, tmp_path: Path) -> None:
    """In RAM, to the same bits; on disk only plain weights wait."""
    write(tmp_path / "t.gguf", base, "Q8_0")
    live, spec = load(tmp_path / "t.gguf", base)
    waiting = Flux2Loader().load(spec, "cpu", Offload(mode="group", level="leaf"))
    assert torch.equal(velocity(waiting), velocity(live))
    with pytest.raises(ModelError, match="quantized weights wait in RAM, not on disk"):
        Flux2Loader().load(spec, "cpu", Offload(mode="group", disk=str(tmp_path)))


def test_the_plan_counts_blocks(base: Path, tmp_path: Path) -> None:
    """The bytes of the file, and what its largest layer is unpacked to."""
    write(tmp_path / "t.gguf", base, "Q8_0")
    live, spec = load(tmp_path / "t.gguf", base)
    assert weigh(spec, "cpu").weight_bytes == Flux2Loader().size_bytes(live)
    assert set(weigh(spec, "cpu").immovable) == {"disk"}
    assert unpacked_bytes(spec, "cpu", 100) == max(layer.weight.numel() for layer in plain_layers(base)) * 4


def plain_layers(base: Path) -> list[Any]:
    return [layer for layer in plain(base).modules() if isinstance(layer, torch.nn.Linear)]
