"""A prompt is upsampled as the stock pipeline does it, by a seed, and by a text encoder that can."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from limner import EventStream, Graph, GraphError, Session
from limner.engine import events as ev
from limner.engine.errors import Cancelled, InputError, ModelError
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, SaveModel, TextEncode, UpsamplePrompt
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.upsampling import conversation, upsample
from limner.nodes.specs import Quantization, TextGenerator
from limner.nodes.values import References, TextEncoder

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "[IMG]", "[IMG_BREAK]", "[IMG_END]"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}[IMG]{% else %}{{ part['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
)
PROMPT = "a red mug, 红色杯子 [IMG]"


@pytest.fixture(scope="module")
def _processor_class() -> Iterator[Any]:
    """The stock processor, with the PIL half of its image processor where torchvision is missing."""
    from transformers.models.pixtral import image_processing_pil_pixtral

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "transformers.models.pixtral.image_processing_pixtral", image_processing_pil_pixtral)
        from transformers.models.pixtral.processing_pixtral import PixtralProcessor

        yield PixtralProcessor


@pytest.fixture(scope="module")
def stock(_processor_class: Any, model_folder: Callable[[str], Path]) -> Any:
    """A small random pipeline of dev whose text encoder has a head and eyes."""
    from diffusers import Flux2Pipeline
    from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

    tokenizer = _tokenizer()
    processor = _processor_class(
        image_processor=PixtralImageProcessorPil(),
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=TEMPLATE,
    )
    parts = {"text_encoder": _text_encoder(len(tokenizer)), "tokenizer": processor}
    return Flux2Pipeline(**(Flux2Pipeline.from_pretrained(model_folder("dev")).components | parts))


@pytest.fixture(scope="module")
def folder(stock: Any, model_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pipeline as a model folder."""
    path = tmp_path_factory.mktemp("writes") / "dev"
    stock.save_pretrained(path)
    shutil.copy(model_folder("dev") / "limner.json", path)
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TextEncoder:
    return LoadModel(source=str(folder)).run(FakeContext()).text_encoder


@pytest.fixture(scope="module")
def live(encoder: TextEncoder) -> Any:
    return Flux2Loader().load(TextGenerator.of(encoder), "cpu")


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SPECIAL[4:],
        padding_side="left",
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _text_encoder(vocabulary: int) -> Any:
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    torch.manual_seed(5)
    text = {
        "model_type": "mistral",
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 4,  # one more than is read
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
        "image_size": 1024,
        "patch_size": 14,
    }
    config = Mistral3Config(
        text_config=text, vision_config=vision, image_token_index=4, spatial_merge_size=2, tie_word_embeddings=False
    )
    model = Mistral3ForConditionalGeneration(config)
    with torch.no_grad():
        model.lm_head.weight *= 40  # so that some words are likelier than others
    model.generation_config.eos_token_id = list(range(2, vocabulary, 12))  # so that texts are short
    return model.eval()


def pictures(count: int) -> list[PIL.Image.Image]:
    generator = np.random.default_rng(count)
    sizes = [(64, 80), (900, 1000), (70, 90)]
    return [PIL.Image.fromarray(generator.integers(0, 256, (*sizes[i % 3], 3), dtype=np.uint8)) for i in range(count)]


def written(live: Any, prompt: str = PROMPT, count: int = 0, temperature: float = 0.7, seed: int = 3) -> str:
    return upsample(live, prompt, pictures(count), temperature, seed, "cpu", lambda step: None, print)


def stock_text(stock: Any, prompt: str = PROMPT, count: int = 0, temperature: float = 0.7, seed: int = 3) -> str:
    torch.manual_seed(seed)
    with torch.no_grad():
        (text,) = stock.upsample_prompt(prompt, images=[pictures(count)] if count else None, temperature=temperature)
    return str(text)


@pytest.mark.parametrize(
    ("prompt", "temperature", "seed"),
    [(PROMPT, 0.15, 0), (PROMPT, 1.0, 2**63), ("", 0.7, 3), ('{"scene": "a desk"}', 2.0, 1), ("word " * 600, 0.7, 3)],
    ids=["cool", "warm", "empty", "JSON", "too long"],
)
def test_a_text_is_that_of_the_stock_pipeline(
    stock: Any, live: Any, prompt: str, temperature: float, seed: int
) -> None:
    """Letter by letter, whatever the temperature and the seed; what is too long is cut at the same place."""
    text = written(live, prompt, temperature=temperature, seed=seed)
    assert text == stock_text(stock, prompt, temperature=temperature, seed=seed)
    assert text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_references_are_seen_as_the_stock_processor_sees_them(stock: Any, live: Any, count: int) -> None:
    """Side by side, scaled to the same size, and at the same place of the conversation."""
    text = written(live, count=count)
    assert text == stock_text(stock, count=count)
    assert text != written(live)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_model_is_given_what_the_stock_one_is_given(
    stock: Any, live: Any, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Tokens, mask, pixels and sizes, to the bit."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(stock.text_encoder, "generate", lambda **inputs: given.update(inputs) or inputs["input_ids"])
    stock_text(stock, count=count)
    ours, cut = conversation(live, PROMPT, pictures(count))
    assert cut is None
    assert {name for name, value in given.items() if isinstance(value, torch.Tensor)} == set(ours)
    assert all(torch.equal(given[name], tensor) for name, tensor in ours.items())
    assert count == 0 or (ours["input_ids"] == 4).sum() > 4


def test_the_seed_decides_and_nobody_elses_dice_are_thrown(live: Any) -> None:
    """The same seed writes the same, another one something else, and torch's global generator stays as it was."""
    before = torch.get_rng_state()
    assert written(live, seed=1) == written(live, seed=1)
    assert written(live, seed=1) != written(live, seed=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_says_how_it_wants_to_be_sampled(stock: Any, folder: Path, tmp_path: Path) -> None:
    """Its generation_config.json is obeyed, as the stock loader obeys it."""
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    path = other / "text_encoder" / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"top_k": 2}))
    spec = TextGenerator.of(LoadModel(source=str(other)).run(FakeContext()).text_encoder)
    loaded = Flux2Loader().load(spec, "cpu")
    was = stock.text_encoder.generation_config.top_k
    stock.text_encoder.generation_config.top_k = 2
    expected = stock_text(stock, temperature=2.0)
    stock.text_encoder.generation_config.top_k = was
    assert written(loaded, temperature=2.0) == expected
    assert expected != stock_text(stock, temperature=2.0)


def test_every_token_is_reported_and_may_be_the_last(live: Any, encoder: TextEncoder) -> None:
    """A run that is cancelled stops within one token."""
    ctx = FakeContext(modules={TextGenerator.of(encoder): live}, cancel_at=1)
    with pytest.raises(Cancelled):
        UpsamplePrompt(prompt=PROMPT, temperature=0.7, seed=3).run(ctx, encoder)
    assert ctx.steps == [(1, 512)]


def test_what_is_too_long_is_said(live: Any, encoder: TextEncoder) -> None:
    """2,048 tokens are read, conversation and all; the warning says from which word on the rest is not."""
    ctx = FakeContext(modules={TextGenerator.of(encoder): live})
    UpsamplePrompt(prompt="a #36758 mug " + "word " * 600, temperature=0.7).run(ctx, encoder)
    color, cut = ctx.warnings
    assert color == "#36758 has 5 hex digits, and a color has 6, as in #367588"
    assert cut.endswith('fit with the template around it: nothing from "word word word word" on is read')


def test_a_prompt_that_leaves_no_room_for_pictures_is_refused(live: Any) -> None:
    """Pictures whose tokens were cut off would be an error deep inside the model."""
    live.tokenizer.truncation_side = "left"
    try:
        with pytest.raises(InputError, match="too long to be read together with its references"):
            written(live, "word " * 600, count=2)
    finally:
        live.tokenizer.truncation_side = "right"


def graph_of(folder: Path, **settings: Any) -> Graph:
    graph = Graph("upsampled")
    model = graph.add(LoadModel(source=str(folder)), id="model")
    longer = graph.add(UpsamplePrompt(prompt=PROMPT, **settings), id="longer", text_encoder=model.text_encoder)
    graph.add(TextEncode(), id="encode", text_encoder=model.text_encoder, prompt=longer)
    return graph


def ran(session: Session, graph: Graph) -> tuple[dict[str, Any], set[str]]:
    """The outputs, and which nodes ran."""
    stream = EventStream()
    reader = stream.reader(limit=10_000)
    result = session.run(graph, events=stream)
    return dict(result.outputs), {event.node for event in reader if isinstance(event, ev.NodeStarted)}


def test_a_text_is_written_once(folder: Path, stock: Any, tmp_path: Path) -> None:
    """It is kept on disk by model, prompt, temperature and seed; a later process takes it from there."""
    with Session(cache_dir=tmp_path) as session:
        _, nodes = ran(session, graph_of(folder, temperature=0.7, seed=3))
        assert nodes == {"model", "longer", "encode"}
    with Session(cache_dir=tmp_path) as session:
        assert "longer" not in ran(session, graph_of(folder, temperature=0.7, seed=3))[1]
        assert "longer" in ran(session, graph_of(folder, temperature=0.7, seed=4))[1]


def test_what_is_encoded_is_what_was_written(folder: Path, stock: Any, live: Any) -> None:
    """The conditioning is that of the text itself."""
    with Session() as session:
        (wired, _) = ran(session, graph_of(folder, temperature=0.7, seed=3))
        plain = Graph("plain")
        model = plain.add(LoadModel(source=str(folder)), id="model")
        text = stock_text(stock)
        plain.add(TextEncode(prompt=text), id="encode", text_encoder=model.text_encoder)
        (direct, _) = ran(session, plain)
    assert torch.equal(wired["encode"]["conditioning"].prompt, direct["encode"]["conditioning"].prompt)


def test_the_plan_counts_the_whole_model_and_what_follows(folder: Path, live: Any) -> None:
    """The weights of the plan are those that are loaded; what encodes is planned although its prompt is not known."""
    memory = Session().plan(graph_of(folder)).memory
    assert memory is not None
    by_node = {step.node: step for step in memory.steps}
    (model,) = by_node["longer"].models
    assert model.weight_bytes == Flux2Loader().size_bytes(live) - buffers(live.model)
    assert by_node["longer"].working_bytes > 0
    assert by_node["encode"].models
    assert not by_node["encode"].unknown


def buffers(model: torch.nn.Module) -> int:
    """Bytes that no file has: they are computed."""
    return sum(buffer.nbytes for buffer in model.buffers())


@pytest.mark.parametrize("source", ["tiny", "black-forest-labs/FLUX.2-klein-4B"])
def test_klein_is_refused_before_anything_runs(source: str) -> None:
    """With a sentence that says what writes, at the wire."""
    graph = graph_of(Path("x")).document()
    nodes = graph.nodes | {"model": graph.nodes["model"].model_copy(update={"settings": {"source": source}})}
    with pytest.raises(GraphError) as caught:
        Session().plan(graph.model_copy(update={"nodes": nodes}))
    (fault,) = caught.value.faults
    assert fault.where == "nodes.longer.wires.text_encoder"
    assert fault.message == "text_encoder: klein upsamples no prompts: only the text encoder of dev was made to"
    assert fault.hint == "wire the text encoder of black-forest-labs/FLUX.2-dev, whatever model draws"


def test_a_text_encoder_without_a_head_is_refused(encoder: TextEncoder, tmp_path: Path, new_context: Any) -> None:
    """One that SaveModel wrote has only what is read."""
    SaveModel(path=str(tmp_path / "bare")).run(new_context(), text_encoder=encoder)
    bare = LoadModel(source=str(tmp_path / "bare")).run(FakeContext()).text_encoder
    with pytest.raises(ModelError, match="was saved without its head"):
        UpsamplePrompt(prompt=PROMPT).run(FakeContext(), bare)


def test_quantized_it_writes_too(encoder: TextEncoder) -> None:
    """nf4 leaves the head as it is, and the text is another one at most."""
    spec = TextGenerator.of(encoder)
    loaded: Any = Flux2Loader().load(TextGenerator(**vars(spec) | {"quantization": Quantization("nf4")}), "cpu")
    assert type(loaded.model.lm_head.weight) is torch.nn.Parameter
    assert written(loaded)


def test_offloaded_to_disk_it_writes_the_same(folder: Path, live: Any, tmp_path: Path) -> None:
    """Layers that come one by one give the bits of layers that are all there."""
    from limner.engine.offload import Offload

    spec = TextGenerator.of(LoadModel(source=str(folder)).run(FakeContext()).text_encoder)
    loaded = Flux2Loader().load(spec, "cpu", Offload(mode="group", level="leaf", disk=str(tmp_path)))
    assert written(loaded, count=1) == written(live, count=1)


def test_references_reach_it_through_the_wire(live: Any, encoder: TextEncoder) -> None:
    """What the node is given is what is looked at."""
    images = tuple(np.asarray(picture) for picture in pictures(2))
    ctx = FakeContext(modules={TextGenerator.of(encoder): live})
    text = UpsamplePrompt(prompt=PROMPT, temperature=0.7, seed=3).run(ctx, encoder, References(images))
    assert text == written(live, count=2)


def test_a_model_that_is_not_here_yet_is_not_refused(live: Any) -> None:
    """Of a hub id that nobody knows nothing can be said before it is loaded."""
    spec = TextEncoder("someone/flux2-dev")
    ctx = FakeContext(modules={TextGenerator.of(spec): live})
    assert UpsamplePrompt(prompt=PROMPT, temperature=0.7, seed=3).run(ctx, spec) == written(live)
