"""Every stage trains on a CPU, and an interrupted training ends where an uninterrupted one does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limner.tiny.muon import orthogonalize
from limner.tiny.pipeline import generate, load_pipeline
from limner.tiny.train import STAGES, Options
from limner.tiny.transformer import mean_error

# Under autocast the query norms see bf16 beside fp32 weights: torch says that this is slower, which is so.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")

SMALL = Options(steps=4, batch=4, pictures=16, pairs=4, families=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """A folder where every stage ran for a few steps."""
    folder = tmp_path_factory.mktemp("runs")
    options = replace(SMALL, runs=folder, weights=folder / "weights", lora=folder / "lora" / "lora.safetensors")
    for stage in ("vae", "decoder", "text", "transformer", "assemble"):
        STAGES[stage](options)
    return options


def _states_equal(a: Path, b: Path) -> bool:
    first, second = (torch.load(p / "state.pt", weights_only=True) for p in (a, b))
    same = all(torch.equal(x, second["module"][name]) for name, x in first["module"].items())
    return same and all(torch.equal(x, y) for x, y in zip(first["average"], second["average"], strict=True))


@pytest.mark.parametrize("stage", ["vae", "text", "transformer"])
def test_resuming_is_exact(trained: Options, stage: str, tmp_path: Path) -> None:
    """Two steps, a stop and two more give bit for bit what four steps give."""
    for name in ("vae", "text"):
        (tmp_path / name).symlink_to(trained.runs / name)
    if stage != "transformer":
        (tmp_path / stage).unlink()
    options = replace(trained, runs=tmp_path)
    STAGES[stage](replace(options, until=2))
    STAGES[stage](replace(options, resume=True))
    assert _states_equal(trained.runs / stage, tmp_path / stage)


def test_what_training_assembles_is_a_stock_pipeline(trained: Options) -> None:
    """The folder of a training loads with the stock class and draws."""
    assert generate(load_pipeline(trained.weights), ["a star"], steps=1).shape == (1, 128, 128, 3)


def test_a_lora_trains_on_it(trained: Options) -> None:
    """The LoRA stage writes a file that the stock pipeline loads."""
    STAGES["lora"](replace(trained, steps=2))
    pipe = load_pipeline(trained.weights)
    pipe.load_lora_weights(trained.lora)
    assert pipe.get_active_adapters()


def test_muon_makes_updates_orthogonal() -> None:
    """The singular values of an update end up near one."""
    values = torch.linalg.svdvals(orthogonalize(torch.randn(48, 16)))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_a_wrong_color_weighs_more_than_wrong_edges() -> None:
    """Errors of an object that cancel out are no error of its colour; one that all its tokens share is."""
    is_object = torch.tensor([[True, True, False, False]])
    shared = torch.tensor([[[0.1], [0.1], [0.0], [0.0]]])
    edges = torch.tensor([[[0.1], [-0.1], [0.0], [0.0]]])
    assert mean_error(shared, is_object).item() == pytest.approx(0.1)
    assert mean_error(edges, is_object).item() == 0
    assert mean_error(shared, ~is_object).item() == 0
    assert mean_error(shared, torch.zeros_like(is_object)).item() == 0


def test_training_goes_on_from_the_weights(trained: Options, tmp_path: Path) -> None:
    """Where no state was kept, the transformer begins with what the weights' folder holds, not at random."""
    options = replace(trained, runs=tmp_path)
    STAGES["unpack"](options)
    STAGES["transformer"](replace(options, until=0))
    begun = torch.load(tmp_path / "transformer" / "state.pt", weights_only=True)["module"]
    shipped = load_pipeline(trained.weights).transformer.state_dict()
    assert all(torch.equal(begun[f"transformer.{name}"], tensor) for name, tensor in shipped.items())
