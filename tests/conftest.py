"""What holds for every test."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as limner.nodes does, for tests that import torch before it


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, except those of packages that warn about themselves."""
    # bitsandbytes and diffusers use torch.jit, which torch 2.13 deprecates
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")
