"""Small random models of both families, saved as folders in diffusers layout, and contexts that load them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from limner.engine.testing import FakeContext
from limner.nodes import LoadModel
from limner.nodes.load_model import Model

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself: for the helpers

from small_models import LAYERS, LENGTH  # found in the folder just added

Kind = Literal["dev", "klein", "klein-base"]
KINDS: tuple[Kind, ...] = ("dev", "klein", "klein-base")

LATENT_CHANNELS = 4
SETTINGS = {
    "text": {"max_sequence_length": LENGTH, "out_layers": LAYERS},
    "defaults": {"steps": 3, "guidance": 2.0, "width": 48, "height": 32},
    "preview": {"weight": [[0.1, 0, 0, 0.2], [0, 0.1, 0, 0], [0, 0, 0.1, 0]], "bias": [0.5, 0.5, 0.5]},
}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]"
    "{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for part in m['content'] %}{{ part['text'] }}{% endfor %}{% endif %}</s>{% endfor %}"
)


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, except those of packages that warn about themselves."""
    for line in (
        # bitsandbytes and diffusers use torch.jit, which torch 2.13 deprecates
        "ignore:`torch.jit:DeprecationWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Models this small are slower on two threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Path]:
    """A folder with a random model of a kind; each is built once."""
    root = tmp_path_factory.mktemp("models")

    def folder(kind: Kind) -> Path:
        path = root / kind
        if not path.exists():
            _pipeline(kind).save_pretrained(path)
            (path / "limner.json").write_text(json.dumps(SETTINGS))
        return path

    return folder


@dataclass
class LoadingContext(FakeContext):
    """A FakeContext whose models come from their folders, by the real loader; each base is loaded once a session."""

    live: dict[tuple[Any, str], Any] = field(default_factory=dict)

    @contextmanager
    def hold(self, model: Any) -> Iterator[Any]:
        from limner.nodes._flux2.loader import Flux2Loader

        key = (model.base, self.device)
        if key not in self.live:
            self.live[key] = Flux2Loader().load(model.base, self.device)
        with Flux2Loader().adapt(self.live[key], model) if model != model.base else nullcontext():
            yield self.live[key]


@pytest.fixture(scope="session")
def new_context() -> Callable[..., LoadingContext]:
    """Contexts that share their loaded models."""
    live: dict[tuple[Any, str], Any] = {}
    return lambda **settings: LoadingContext(live=live, **settings)


@pytest.fixture(scope="session")
def load_model(model_folder: Callable[[Kind], Path]) -> Callable[..., Model]:
    """The specs of a random model."""
    return lambda kind, dtype="auto": LoadModel(source=str(model_folder(kind)), dtype=dtype).run(FakeContext())


@pytest.fixture(scope="session")
def stock_models(model_folder: Callable[[Kind], Path]) -> Callable[[Kind, str], Any]:
    """The pipelines of diffusers on the same folders; each is loaded once."""
    from diffusers import DiffusionPipeline

    def load(kind: Kind, dtype: str) -> Any:
        import torch

        pipeline = DiffusionPipeline.from_pretrained(model_folder(kind), dtype=getattr(torch, dtype))
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return cache(load)


@pytest.fixture(scope="session")
def stock_pipeline(stock_models: Callable[[Kind, str], Any]) -> Callable[..., Any]:
    """A stock pipeline as a function that is told the layers and length of the random models."""

    def pipeline(kind: Kind, dtype: str = "float32") -> Any:
        return lambda **call: stock_models(kind, dtype)(
            max_sequence_length=LENGTH, text_encoder_out_layers=LAYERS, **call
        )[0]

    return pipeline


@pytest.fixture(scope="session")
def stock_encode(stock_models: Callable[[Kind, str], Any]) -> Callable[..., Any]:
    """What a stock pipeline makes of a prompt."""

    def encode(kind: Kind, dtype: str, prompt: str) -> Any:
        pipeline = stock_models(kind, dtype)
        call = {"prompt": prompt, "max_sequence_length": LENGTH, "text_encoder_out_layers": LAYERS}
        return pipeline.encode_prompt(**call, device="cpu")[0].detach()

    return encode


def _pipeline(kind: Kind) -> Any:
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Pipeline

    torch.manual_seed(KINDS.index(kind))
    tokenizer = _tokenizer()
    parts = {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        "vae": _vae(),
        "text_encoder": _text_encoder(kind, len(tokenizer)),
        "tokenizer": tokenizer,
        "transformer": _transformer(kind),
    }
    if kind == "dev":
        return Flux2Pipeline(**parts)
    return Flux2KleinPipeline(**parts, is_distilled=kind == "klein")


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _text_encoder(kind: Kind, vocabulary: int) -> Any:
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, Qwen3Config, Qwen3ForCausalLM

    text = {
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind != "dev":
        return Qwen3ForCausalLM(Qwen3Config(tie_word_embeddings=True, **text))
    vision = {
        "model_type": "pixtral",
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "head_dim": 8,
        "image_size": 32,
        "patch_size": 16,
    }
    config = Mistral3Config(text_config={"model_type": "mistral", **text}, vision_config=vision, image_token_index=3)
    return Mistral3ForConditionalGeneration(config)


def _vae() -> Any:
    from diffusers import AutoencoderKLFlux2

    vae = AutoencoderKLFlux2(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=2,
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    return vae


def _transformer(kind: Kind) -> Any:
    from diffusers import Flux2Transformer2DModel

    return Flux2Transformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16 * len(LAYERS),
        timestep_guidance_channels=16,
        axes_dims_rope=(2, 2, 2, 2),
        guidance_embeds=kind == "dev",
    )
