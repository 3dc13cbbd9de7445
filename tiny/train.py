"""Train the model, stage by stage: ``python -m limner.tiny.train --stage vae`` (then decoder, text, transformer, lora).

Every stage writes ``runs/<stage>/state.pt`` now and then; ``--resume`` goes on from there to the same result
as if it had never stopped. ``--stage assemble`` turns the stages' averaged weights into ``weights/``, and
``--stage unpack`` does the reverse: in a fresh checkout, training goes on from the weights that ship.
"""

import argparse
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from torch import nn

from limner.tiny.latents import load_pool
from limner.tiny.loop import Schedule, Trainer
from limner.tiny.lora import LORA_STEPS, train_lora
from limner.tiny.muon import Muon, split_parameters
from limner.tiny.pipeline import LORA, WEIGHTS, load_pipeline, save_pipeline
from limner.tiny.render import render
from limner.tiny.scenes import sample_scene
from limner.tiny.text import build_text_encoder
from limner.tiny.tokenizer import build_tokenizer
from limner.tiny.train_text import Parser, ParseTask
from limner.tiny.train_transformer import Denoiser, DenoiseTask
from limner.tiny.train_vae import THIN, AutoencoderTask, DecoderTask, draw_pictures
from limner.tiny.transformer import build_transformer
from limner.tiny.vae import build_vae, fit_statistics

RUNS = Path(__file__).parent / "runs"
START = "start.pt"
"""Weights that the transformer's training begins with, where they are there."""


@dataclass(frozen=True)
class Options:
    """What a stage may be told; None takes the stage's own default."""

    runs: Path = RUNS
    weights: Path = WEIGHTS
    lora: Path = LORA
    device: str = "cpu"
    steps: int | None = None
    until: int | None = None
    batch: int | None = None
    pictures: int = 2048
    pairs: int = 4800
    families: int = 1600
    alone: float = 0.35
    references: float = 0.45
    resume: bool = False
    compile: bool = False


def _adam(parameters: Iterable[nn.Parameter], rate: float, second: float = 0.98) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, second), weight_decay=0.01)


def _run(trainer: Trainer, options: Options) -> None:
    if options.resume:
        trainer.resume()
    trainer.run(until=options.until)


def train_vae(options: Options) -> None:
    """Encoder and decoder together."""
    torch.manual_seed(0)
    steps = options.steps or 3600
    vae = _on_device(build_vae(), options)
    task = AutoencoderTask(vae, draw_pictures(options.pictures, seed=1), steps, options.batch or 16)
    schedule = Schedule(steps, warmup=100, decay=0.5, average=0.995)
    trainer = Trainer(task, [_adam(vae.parameters(), 3e-3, 0.99)], schedule, options.runs / "vae", seed=1)
    _run(trainer, options)
    if trainer.step < steps:
        return
    trainer.use_average()
    vae.eval()
    statistics = draw_pictures(min(1024, options.pictures), seed=9).to(options.device) / 127.5 - 1
    fit_statistics(vae, statistics)
    _save_vae(vae, options.runs / "vae")


def train_decoder(options: Options) -> None:
    """The decoder alone, on whole pictures: latents stay what the transformer was trained on."""
    torch.manual_seed(0)
    steps = options.steps or 2000
    vae = _on_device(load_vae(options.runs / "vae"), options)
    vae.decoder.requires_grad_(True)
    task = DecoderTask(vae, draw_pictures(options.pictures, seed=2, thin=THIN), options.batch or 8)
    schedule = Schedule(steps, warmup=50, decay=0.7, average=0.99)
    trainer = Trainer(task, [_adam(vae.decoder.parameters(), 1.5e-3, 0.99)], schedule, options.runs / "decoder", seed=4)
    _run(trainer, options)
    trainer.use_average()
    _save_vae(vae, options.runs / "decoder")


def train_text(options: Options) -> None:
    """The text encoder, by parsing."""
    torch.manual_seed(0)
    steps = options.steps or 1500
    tokenizer = build_tokenizer()
    parser = Parser(build_text_encoder(tokenizer)).to(options.device)
    matrices, rest = split_parameters(parser, [parser.encoder.model.layers])
    task = ParseTask(parser, tokenizer, options.batch or 96)
    schedule = Schedule(steps, warmup=50, decay=0.5, average=0.998)
    trainer = Trainer(task, [Muon(matrices, lr=0.02), _adam(rest, 2e-3)], schedule, options.runs / "text", seed=2)
    _run(trainer, options)
    trainer.use_average()
    torch.save(parser.encoder.state_dict(), options.runs / "text" / "encoder.pt")


def train_transformer(options: Options) -> None:
    """The denoiser, with the text encoder at a fraction of its rate."""
    torch.manual_seed(0)
    steps = options.steps or 3100
    task, optimizers = _denoising(options, steps)
    schedule = Schedule(steps, warmup=100, decay=0.35, average=0.998)
    trainer = Trainer(task, optimizers, schedule, options.runs / "transformer", seed=3)
    _run(trainer, options)


def _denoising(options: Options, steps: int) -> tuple[DenoiseTask, list[torch.optim.Optimizer]]:
    tokenizer = build_tokenizer()
    encoder = build_text_encoder(tokenizer)
    encoder.load_state_dict(torch.load(options.runs / "text" / "encoder.pt", weights_only=True))
    transformer = build_transformer()
    if (start := options.runs / "transformer" / START).exists():
        transformer.load_state_dict(torch.load(start, weights_only=True))
    # The fused kernel's backward is twice as slow on a CPU for sequences this short.
    transformer.set_attention_backend("_native_math")
    module = Denoiser(transformer, encoder).to(options.device)
    pool_path = options.runs / f"pool-{options.pairs}-{options.families}.safetensors"
    pool = load_pool(
        _on_device(load_vae(options.runs / "vae"), options), pool_path, options.pairs, options.families, seed=1
    )
    task = DenoiseTask(
        module, tokenizer, pool, steps, options.batch or 48, options.alone, options.references, options.compile
    )
    blocks = [transformer.transformer_blocks, transformer.single_transformer_blocks]
    matrices, rest = split_parameters(transformer, blocks)
    text_matrices, text_rest = split_parameters(encoder, [encoder.model.layers])
    optimizers = [
        Muon(matrices, lr=0.015),
        Muon(text_matrices, lr=0.003),
        _adam(rest, 2e-3),
        _adam(text_rest, 3e-4),
        _adam(module.reader.parameters(), 5e-4),
    ]
    return task, optimizers


def load_vae(folder: Path) -> AutoencoderKLFlux2:
    """Load a trained autoencoder, frozen."""
    vae: AutoencoderKLFlux2 = AutoencoderKLFlux2.from_pretrained(folder / "model")
    vae.eval().requires_grad_(False)
    return vae


def _save_vae(vae: AutoencoderKLFlux2, folder: Path) -> None:
    nn.Module.to(vae, memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch types it for tensors
    vae.save_pretrained(folder / "model")


def _on_device(vae: AutoencoderKLFlux2, options: Options) -> AutoencoderKLFlux2:
    # Channels last: convolutions this narrow are half as slow again in the other layout.
    nn.Module.to(vae, torch.device(options.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return vae


def assemble(options: Options) -> None:
    """Write ``weights/`` from the averaged weights of the stages."""
    tokenizer = build_tokenizer()
    module = Denoiser(build_transformer(), build_text_encoder(tokenizer))
    state = torch.load(options.runs / "transformer" / "state.pt", weights_only=True, map_location="cpu")
    module.load_state_dict(state["module"])
    with torch.no_grad():
        for parameter, mean in zip(module.parameters(), state["average"], strict=True):
            parameter.copy_(mean)
    decoder = options.runs / "decoder"
    vae = load_vae(decoder if decoder.exists() else options.runs / "vae")
    rng = random.Random(5)
    pictures = render([sample_scene(rng) for _ in range(128)])
    save_pipeline(options.weights, module.transformer, module.encoder, tokenizer, vae, pictures)


def unpack(options: Options) -> None:
    """Write what ``weights/`` holds back into ``runs/``, so that training goes on where no state was kept."""
    pipe = load_pipeline(options.weights)
    for stage in ("vae", "decoder", "text", "transformer"):
        (options.runs / stage).mkdir(parents=True, exist_ok=True)
    for stage in ("vae", "decoder"):
        _save_vae(pipe.vae, options.runs / stage)
    torch.save(pipe.text_encoder.state_dict(), options.runs / "text" / "encoder.pt")
    torch.save(pipe.transformer.state_dict(), options.runs / "transformer" / START)


def train_concept(options: Options) -> None:
    """The LoRA, on the assembled weights."""
    train_lora(options.weights, options.lora, options.steps or LORA_STEPS)


STAGES: dict[str, Callable[[Options], None]] = {
    "vae": train_vae,
    "decoder": train_decoder,
    "text": train_text,
    "transformer": train_transformer,
    "assemble": assemble,
    "unpack": unpack,
    "lora": train_concept,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    for name in ("steps", "until", "batch"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("pictures", "pairs", "families"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Options, name))
    parser.add_argument("--alone", type=float, default=Options.alone, help="share of the steps before any reference")
    parser.add_argument("--references", type=float, default=Options.references, help="share of batches of edits then")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument(
        "--compile", action="store_true", help="compile the denoiser: a minute first, then a quarter faster"
    )
    given = vars(parser.parse_args(arguments))
    torch.set_num_threads(given.pop("threads"))
    STAGES[given.pop("stage")](Options(**given))


if __name__ == "__main__":
    main()
