"""Muon: momentum, made orthogonal, for the matrices of hidden layers (Jordan et al., 2024)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

# Coefficients of the quintic iteration from https://kellerjordan.github.io/posts/muon/.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Bring the singular values of a matrix near 1 by Newton-Schulz iterations, in bf16."""
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = A * x + (B * gram + C * gram @ gram) @ x
    result: torch.Tensor = (x.T if tall else x).to(matrix.dtype)
    return result


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum whose update is orthogonalised; decoupled weight decay."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # no closure
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            state["velocity"] = torch.zeros_like(gradient)
        velocity: torch.Tensor = state["velocity"]
        velocity.lerp_(gradient, 1 - group["momentum"])
        update = orthogonalize(gradient.lerp(velocity, group["momentum"]))
        # Tall matrices (fused projections) need longer steps for the same change of their output.
        scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * scale)


def split_parameters(module: nn.Module, hidden: Iterable[nn.Module]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Part trainable parameters into matrices of the hidden layers (for Muon) and the rest (for AdamW)."""
    inner = {id(p) for layer in hidden for p in layer.parameters() if p.ndim == 2}
    trained = [p for p in module.parameters() if p.requires_grad]
    return [p for p in trained if id(p) in inner], [p for p in trained if id(p) not in inner]
