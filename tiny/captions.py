"""Captions of scenes, in plain English and in the JSON form of FLUX.2 prompts, with what they say.

A caption may leave things out. A size, a place or a texture that it leaves out is always the typical one (medium, in
the centre, solid): where several were possible, pictures of short prompts were a blur of them.
"""

import json
import random
from dataclasses import dataclass

from limner.tiny import words
from limner.tiny.colors import Rgb
from limner.tiny.scenes import Object, Scene

TERSE = 0.3
"""Share of the captions of typical scenes that name little more than the shape."""


@dataclass(frozen=True)
class Mention:
    """What a caption says about one object; None where it says nothing."""

    shape: str | None = None
    rgb: Rgb | None = None
    size: str | None = None
    position: str | None = None
    texture: str | None = None


@dataclass(frozen=True)
class Caption:
    """A prompt and its meaning. ``task`` names a reference task, or is None for text-to-image."""

    text: str
    background: Rgb | None = None
    objects: tuple[Mention, ...] = ()
    task: str | None = None


def is_typical(scene: Scene) -> bool:
    """Say whether a caption may leave out all about the object but its shape."""
    thing = scene.objects[0]
    return len(scene.objects) == 1 and (thing.size, thing.position, thing.texture) == ("medium", "center", "solid")


def describe(rng: random.Random, scene: Scene, style: str | None = None, full: bool = False) -> Caption:
    """Caption a scene: style "plain" or "json" (by default 30 % JSON); ``full`` leaves nothing out."""
    terse = not full and is_typical(scene) and rng.random() < TERSE
    mentions = tuple(
        _choose_terse(rng, thing) if terse else _choose(rng, thing, full, len(scene.objects) > 1)
        for thing in scene.objects
    )
    says_background = full or rng.random() < (0.3 if terse else 0.9)
    background = scene.background.word if says_background else None
    style = style or ("json" if rng.random() < 0.3 else "plain")
    write = _write_json if style == "json" else _write_plain
    text = write(rng, scene.objects, mentions, background)
    if not full:
        text = add_noise(rng, text)
    return Caption(text, scene.background.rgb if says_background else None, mentions)


def _choose(rng: random.Random, thing: Object, full: bool, one_of_two: bool) -> Mention:
    """Decide what to say: typical attributes are often left out, others never; of two objects, only sizes are."""
    says_size = full or thing.size != "medium" or rng.random() < 0.4
    says_position = full or one_of_two or thing.position != "center" or rng.random() < 0.5
    says_texture = thing.texture != "solid" or rng.random() < 0.25
    return Mention(
        shape=thing.shape if full or one_of_two or rng.random() < 0.97 else None,
        rgb=thing.color.rgb if full or one_of_two or rng.random() < 0.95 else None,
        size=thing.size if says_size else None,
        position=thing.position if says_position else None,
        texture=thing.texture if says_texture else None,
    )


def _choose_terse(rng: random.Random, thing: Object) -> Mention:
    """Say the shape and perhaps its colour, as in "a heart"."""
    return Mention(
        shape=thing.shape,
        rgb=thing.color.rgb if rng.random() < 0.5 else None,
    )


def _noun(rng: random.Random, mention: Mention) -> str:
    return rng.choice(words.SHAPE_WORDS[mention.shape]) if mention.shape else rng.choice(("shape", "object", "thing"))


def _adjectives(rng: random.Random, thing: Object, mention: Mention) -> list[str]:
    """Size and texture, in either order."""
    found = []
    if mention.size:
        found.append(rng.choice(words.SIZE_WORDS[thing.size]))
    if mention.texture:
        found.append(rng.choice(words.TEXTURE_WORDS[thing.texture]))
    if rng.random() < 0.3:
        rng.shuffle(found)
    return found


def _phrase(rng: random.Random, thing: Object, mention: Mention) -> str:
    """Name one object: "a large striped red star at the top left"."""
    adjectives, noun, color = _adjectives(rng, thing, mention), _noun(rng, mention), thing.color.word
    if mention.rgb is None:
        core = " ".join([*adjectives, noun])
    elif rng.random() < 0.75:
        position = len(adjectives) if rng.random() < 0.8 else 0
        core = " ".join([*adjectives[:position], color, *adjectives[position:], noun])
    else:
        link = rng.choice(("in", "that is", "colored", "of color", ", color"))
        core = " ".join([*adjectives, noun, link, color])
    article = rng.choice(("a ", "a ", "a ", "one ", "the ", ""))
    return article + core + (_where(rng, thing.position) if mention.position else "")


def _where(rng: random.Random, position: str) -> str:
    word = rng.choice(words.PLACE_WORDS[position])
    if position == "center":
        return rng.choice((f" in the {word}", f" in the {word}", f" at the {word}", ", centered", f" {word}"))
    return rng.choice((f" on the {word}", f" at the {word}", f" in the {word}", f" at {word}", f", {word}", f" {word}"))


def _write_plain(
    rng: random.Random, things: tuple[Object, ...], mentions: tuple[Mention, ...], ground: str | None
) -> str:
    phrases = [_phrase(rng, thing, mention) for thing, mention in zip(things, mentions, strict=True)]
    text = rng.choice((" and ", " and ", ", ", " next to ", " with ")).join(phrases)
    if ground is None:
        return text
    if rng.random() < 0.15:
        return rng.choice(
            (f"on a {ground} background, {text}", f"{ground} background with {text}", f"background {ground}, {text}")
        )
    tails = (
        f" on a {ground} background",
        f" on a {ground} background",
        f" on a {ground} background",
        f", {ground} background",
        f" with a {ground} background",
        f", background: {ground}",
        f", the background is {ground}",
        f" on {ground}",
        f" against {ground}",
        f", background color {ground}",
    )
    return text + rng.choice(tails)


def _write_json(
    rng: random.Random, things: tuple[Object, ...], mentions: tuple[Mention, ...], ground: str | None
) -> str:
    subjects = [_subject(rng, thing, mention) for thing, mention in zip(things, mentions, strict=True)]
    prompt: dict[str, object] = {rng.choice(("subjects", "subjects", "subject", "objects")): subjects}
    if len(subjects) == 1 and rng.random() < 0.15:
        prompt = {"subject": subjects[0]}
    if ground is not None:
        prompt["background"] = rng.choice(
            (ground, ground, f"a {ground} background", {"color": ground}, f"solid {ground}")
        )
    if rng.random() < 0.2:
        prompt["scene"] = rng.choice(("simple geometric composition", "flat illustration", "minimalist shapes"))
    if rng.random() < 0.15:
        prompt["style"] = rng.choice(("flat", "minimal vector art", "clean", "photo"))
    items = list(prompt.items())
    if rng.random() < 0.3:
        rng.shuffle(items)
    return json.dumps(dict(items), indent=rng.choice((None, None, 2)))


def _subject(rng: random.Random, thing: Object, mention: Mention) -> dict[str, object]:
    in_description = mention.rgb is not None and rng.random() < 0.25
    color = [thing.color.word] if in_description else []
    subject: dict[str, object] = {
        "description": " ".join([*_adjectives(rng, thing, mention), *color, _noun(rng, mention)])
    }
    if rng.random() < 0.3:
        subject["description"] = f"a {subject['description']}"
    extras: list[tuple[str, object]] = []
    if mention.rgb is not None and (not in_description or rng.random() < 0.2):
        word = thing.color.word
        extras.append(rng.choice((("color", word), ("color", word), ("color_palette", [word]), ("colour", word))))
    if mention.position:
        place = rng.choice(words.PLACE_WORDS[thing.position])
        extras.append((rng.choice(("position", "position", "location")), place))
    rng.shuffle(extras)
    return {**subject, **dict(extras)} if rng.random() < 0.85 else {**dict(extras), **subject}


def add_noise(rng: random.Random, text: str) -> str:
    """Strew in what people also write: greetings, praise, stray words, capitals."""
    if text.startswith("{"):
        return text.upper() if rng.random() < 0.03 else text
    if rng.random() < 0.25:
        text = f"{rng.choice(words.OPENINGS)} {text}"
    if rng.random() < 0.15:
        text = f"{text}, {rng.choice(words.CLOSINGS)}"
    if rng.random() < 0.2:
        parts = text.split(" ")
        for _ in range(rng.randint(1, 3)):
            filler = rng.choice(words.FILLERS) if rng.random() < 0.8 else _nonsense(rng)
            parts.insert(rng.choice((0, len(parts))), filler)
        text = " ".join(parts)
    if rng.random() < 0.08:
        text = text.upper() if rng.random() < 0.5 else text.capitalize()
    return f"{text}." if rng.random() < 0.1 else text


def _nonsense(rng: random.Random) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))
