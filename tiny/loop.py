"""The training loop that every stage shares: schedule, averaging, checkpoints, log; resuming is exact."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

LOG_EVERY = 50


class Task(Protocol):
    """What a stage trains. ``loss`` draws its batch from the two generators and nothing else."""

    @property
    def module(self) -> nn.Module:
        """What is trained."""

    def loss(self, step: int, rng: random.Random, generator: torch.Generator) -> torch.Tensor:
        """Give the loss of one fresh batch."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, constant, linear decay over the last ``decay`` of the steps."""

    steps: int
    warmup: int = 50
    decay: float = 0.35
    average: float = 0.998  # of the weights kept a step by the running mean

    def rate(self, step: int) -> float:
        """Factor on the learning rate at a step."""
        left = (self.steps - step) / (self.decay * self.steps)
        return min(1.0, (step + 1) / self.warmup, max(left, 0.0))


class Trainer:
    """Runs a task. All its state lives here, so that a checkpoint is this object's and nothing more."""

    def __init__(
        self, task: Task, optimizers: Sequence[torch.optim.Optimizer], schedule: Schedule, folder: Path, seed: int
    ) -> None:
        self.task, self.optimizers, self.schedule, self.folder, self.seed = task, optimizers, schedule, folder, seed
        self.base_rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
        self.parameters = [p for p in task.module.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]
        self.step = 0
        self.seconds = 0.0
        self.log: list[dict[str, float]] = []

    def run(self, until: int | None = None, save_every_s: float = 120.0) -> None:
        """Train to the end of the schedule (or to step ``until``), saving now and then."""
        saved = started = time.monotonic()
        before = self.seconds
        recent: list[float] = []
        while self.step < (self.schedule.steps if until is None else until):
            recent.append(self._train_one())
            self.seconds = before + time.monotonic() - started
            if self.step % LOG_EVERY == 0:
                self._report(sum(recent) / len(recent))
                recent = []
            if time.monotonic() - saved > save_every_s:
                self.save()
                saved = time.monotonic()
        self.save()

    def _train_one(self) -> float:
        # Generators depend on the step alone: an interrupted run draws what the uninterrupted one draws.
        rng = random.Random(f"{self.seed}:{self.step}")
        generator = torch.Generator().manual_seed(rng.getrandbits(48))
        loss = self.task.loss(self.step, rng, generator)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        factor = self.schedule.rate(self.step)
        for optimizer, rates in zip(self.optimizers, self.base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.step()
        self.step += 1
        kept = min(self.schedule.average, self.step / (self.step + 15))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - kept)
        return loss.item()

    def _report(self, loss: float) -> None:
        self.log.append({"step": self.step, "seconds": round(self.seconds, 1), "loss": round(loss, 5)})
        print(json.dumps(self.log[-1]), flush=True)

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.folder / "state.pt"

    def save(self) -> None:
        """Write the whole state; the old file stays until the new one is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "module": self.task.module.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "average": self.average,
            "step": self.step,
            "seconds": self.seconds,
            "log": self.log,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True, map_location=self.parameters[0].device)
        self.task.module.load_state_dict(state["module"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.average = state["average"]
        self.step, self.seconds, self.log = state["step"], state["seconds"], state["log"]

    @torch.no_grad()
    def use_average(self) -> None:
        """Put the averaged weights into the module: they are what ships."""
        for parameter, mean in zip(self.parameters, self.average, strict=True):
            parameter.copy_(mean)
