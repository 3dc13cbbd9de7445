"""The heads that help the transformer while it trains: what they ask, and of which tokens."""

import random
from dataclasses import replace

import pytest
import torch

from limner.tiny.colors import lab
from limner.tiny.reading import TOKENS, Reader
from limner.tiny.references import sample_family
from limner.tiny.scenes import Scene, sample_scene
from limner.tiny.transformer import CHANNELS, build_transformer, predict_velocity


@pytest.fixture
def reader() -> Reader:
    """Heads on a transformer that has just seen two pictures beside a target, in a batch of one."""
    torch.manual_seed(0)
    transformer = build_transformer()
    found = Reader(transformer)
    with torch.no_grad():
        predict_velocity(transformer, *_tokens(), torch.tensor([0.5]), torch.randn(1, 4, 384))
    return found


def _tokens() -> tuple[torch.Tensor, torch.Tensor]:
    """A target and two references of which each has an object at its first ten tokens."""
    one = torch.zeros(1, TOKENS, CHANNELS)
    one[:, :10] = 1
    return one, torch.cat([one, one], 1)


def _say(head: torch.nn.Linear, scene: Scene) -> None:
    """Make a head tell the colours of one scene, whatever it sees."""
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([*lab(scene.objects[0].color.rgb), *lab(scene.background.rgb)]) / 100)


def test_right_colors_cost_nothing(reader: Reader) -> None:
    """Heads that tell what target and references show have no loss; those that mistake one for the other have."""
    family = sample_family(random.Random(0))
    target = family.targets["recolor"]
    _say(reader.target_colors, target)
    _say(reader.reference_colors, family.first)
    assert reader.color_loss([[target, family.first, family.first]], *_tokens()).item() == pytest.approx(0, abs=1e-6)
    assert reader.color_loss([[family.second, family.first, family.first]], *_tokens()).item() > 0.05
    assert reader.color_loss([[target, family.first, family.second]], *_tokens()).item() > 0.05


def test_of_two_objects_only_the_background_is_asked(reader: Reader) -> None:
    """Which of two objects a token means is not said, so no colour of theirs can be wrong."""
    scene = sample_scene(random.Random(0), 2)
    one, none = _tokens()[0], torch.zeros(1, 0, CHANNELS)
    _say(reader.target_colors, scene)
    assert reader.color_loss([[scene]], one, none).item() == pytest.approx(0, abs=1e-6)
    others = replace(scene, objects=scene.objects[::-1])
    assert reader.color_loss([[others]], one, none).item() == pytest.approx(0, abs=1e-6)
    alone = replace(scene, objects=scene.objects[1:])
    assert reader.color_loss([[alone]], one, none).item() > 0.05


def test_naming_asks_every_reference(reader: Reader) -> None:
    """The loss has a gradient for the heads of both blocks, and states are let go of."""
    family = sample_family(random.Random(0))
    reader.naming_loss([[family.first.objects[0], family.second.objects[0]]]).backward()
    assert all(head.weight.grad is not None and head.weight.grad.any() for head in reader.heads)
    reader.forget()
    assert not reader.states
