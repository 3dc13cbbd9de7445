"""What holds for every test."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, except those of packages that warn about themselves."""
    # bitsandbytes and diffusers use torch.jit, which torch 2.13 deprecates
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")
