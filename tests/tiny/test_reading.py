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

TEXT = 4  # tokens of the prompt


@pytest.fixture
def reader() -> Reader:
    """Heads on a transformer that has just seen two pictures beside a target, in a batch of one."""
    torch.manual_seed(0)
    transformer = build_transformer()
    found = Reader(transformer)
    with torch.no_grad():
        predict_velocity(transformer, *_tokens(), torch.tensor([0.5]), torch.randn(1, TEXT, 384))
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


def test_an_objects_color_is_asked_of_its_own_tokens(reader: Reader) -> None:
    """Of the target behind the last block but one, of each reference behind the second, and nowhere else."""
    family = sample_family(random.Random(0))
    clean, references = _tokens()
    references[:, TOKENS : TOKENS + 10] = 0
    references[:, -5:] = 1  # the second one's object is elsewhere
    reader.states[:] = [states.detach().requires_grad_() for states in reader.states]
    with torch.no_grad():  # so that no background is asked
        reader.target_colors.weight[3:] = 0
        reader.reference_colors.weight[3:] = 0
    reader.color_loss([[family.targets["swap"], family.first, family.second]], clean, references).backward()
    asked = {
        block: states.grad.abs().sum(-1)[0].nonzero().flatten().tolist()
        for block, states in enumerate(reader.states)
        if states.grad is not None
    }
    one, two, three = (range(TEXT + k * TOKENS, TEXT + (k + 1) * TOKENS) for k in range(3))
    last = len(reader.states) - 1
    assert asked == {1: [*two[:10], *three[-5:]], last - 1: [*one[:10]]}


def test_naming_asks_every_reference(reader: Reader) -> None:
    """Another shape in either reference is another loss; states are let go of when they are no longer needed."""
    family = sample_family(random.Random(0))
    first, second = family.first.objects[0], family.second.objects[0]
    other = family.targets["swap"].objects[0]
    assert len({first.shape, second.shape, other.shape}) == 3
    losses = [reader.naming_loss([row]).item() for row in ([first, second], [first, other], [other, second])]
    assert len(set(losses)) == 3
    reader.forget()
    assert not reader.states
