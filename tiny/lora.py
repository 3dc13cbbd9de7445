"""Stage ``lora``: teach the finished model a shape it has never seen ("moon"), and keep what it knew."""

import random
from pathlib import Path

import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from limner.tiny.captions import describe
from limner.tiny.latents import encode_scenes
from limner.tiny.loop import Schedule, Trainer
from limner.tiny.pipeline import load_pipeline
from limner.tiny.scenes import Scene, sample_scene
from limner.tiny.shapes import HELD_OUT
from limner.tiny.text import embed, tokenize
from limner.tiny.transformer import differs_from_background, object_weights, predict_velocity, sample_times

LORA_STEPS = 240
RANK = 6
# PEFT's bare "to_out" would hit the double block's ModuleList; the single blocks' is a plain layer.
TARGETS = (
    r".*\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out|to_qkv_mlp_proj|linear_in|linear_out)"
    r"|single_transformer_blocks\.\d+\.attn\.to_out"
)


class ConceptTask:
    """Half of every batch shows the new concept; in the other half the model is to say what it said before."""

    def __init__(self, pipe: Flux2KleinPipeline, count: int, batch: int) -> None:
        rng = random.Random(41)
        self.pipe, self.batch = pipe, batch
        self.module: Flux2Transformer2DModel = pipe.transformer
        self.new = [sample_scene(rng, 1, HELD_OUT) for _ in range(count)]
        self.old = [sample_scene(rng) for _ in range(count)]
        self.tokens = encode_scenes(pipe.vae, [*self.new, *self.old]).float()

    def loss(self, step: int, rng: random.Random, generator: torch.Generator) -> torch.Tensor:
        """Denoise a fresh batch."""
        count, half = len(self.new), self.batch // 2
        rows = [rng.randrange(count) for _ in range(half)] + [count + rng.randrange(count) for _ in range(half)]
        scenes: list[Scene] = [*self.new, *self.old]
        prompts = [describe(rng, scenes[row]).text for row in rows]
        clean = self.tokens[rows]  # (B, S, C)
        noise = torch.randn(clean.shape, generator=generator)
        times = sample_times(len(clean), generator)
        noisy = torch.lerp(clean, noise, times[:, None, None])
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                text = embed(self.pipe.text_encoder, *tokenize(self.pipe.tokenizer, prompts))
            velocity = predict_velocity(self.module, noisy, clean[:, :0], times, text)
            before = self._velocity_before(noisy[half:], times[half:], text[half:])
        target = torch.cat([(noise - clean)[:half], before])
        errors = ((velocity.float() - target) ** 2).mean(-1)
        return (errors * object_weights(differs_from_background(clean))).mean()

    @torch.no_grad()
    def _velocity_before(self, noisy: torch.Tensor, times: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """What the model says without the LoRA: a steadier teacher of what it knew than pictures are."""
        self.module.disable_adapters()
        try:
            return predict_velocity(self.module, noisy, noisy[:, :0], times, text).float()
        finally:
            self.module.enable_adapters()


def train_lora(weights: Path, out: Path, steps: int = LORA_STEPS, count: int = 384, batch: int = 32) -> None:
    """Train the adapter on a weights folder and write it in diffusers' format."""
    torch.manual_seed(0)
    pipe = load_pipeline(weights)
    for part in (pipe.transformer, pipe.text_encoder, pipe.vae):
        part.requires_grad_(False)
    pipe.transformer.set_attention_backend("_native_math")
    pipe.transformer.add_adapter(
        LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=TARGETS)
    )
    task = ConceptTask(pipe, count, batch)
    adapter = [p for p in task.module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(adapter, lr=4e-3, betas=(0.9, 0.98))
    schedule = Schedule(steps, warmup=20, decay=0.6, average=0.98)
    trainer = Trainer(task, [optimizer], schedule, out.parent.parent / "runs" / "lora", seed=6)
    trainer.run()
    trainer.use_average()
    layers = {name: value.half() for name, value in get_peft_model_state_dict(task.module).items()}
    Flux2KleinPipeline.save_lora_weights(out.parent, transformer_lora_layers=layers, weight_name=out.name)
