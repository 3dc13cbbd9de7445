"""Colours as users write them (names, hex codes) and as metrics compare them (CIE Lab)."""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rgb = tuple[int, int, int]

NAMED: dict[str, str] = {
    "red": "#e02020",
    "green": "#20a040",
    "blue": "#2040e0",
    "yellow": "#f0e020",
    "orange": "#ff8800",
    "purple": "#8020c0",
    "pink": "#ff80c0",
    "brown": "#804020",
    "black": "#101010",
    "white": "#f8f8f8",
    "gray": "#808080",
    "teal": "#108080",
    "cyan": "#20d0e0",
    "navy": "#102060",
    "magenta": "#e020c0",
    "lime": "#80e020",
    "gold": "#e0b020",
    "olive": "#808020",
    "maroon": "#701020",
    "turquoise": "#40d0b0",
    "beige": "#e8d8b0",
    "silver": "#c0c0c8",
}

# How a name may also be spelled; the first word of each pair is what the caption shows.
SYNONYMS: dict[str, str] = {"grey": "gray", "violet": "purple", "crimson": "red", "aqua": "cyan", "fuchsia": "magenta"}

# Two colours nearer than this in RGB may not meet in one picture: neither eye nor metric could part them.
CONTRAST = 90.0


@dataclass(frozen=True)
class Color:
    """A colour and the word or hex code that captions use for it."""

    rgb: Rgb
    word: str


def parse_hex(code: str) -> Rgb:
    """Give the three bytes of ``#rrggbb``."""
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def format_hex(rgb: Rgb) -> str:
    """Give ``#rrggbb`` in lower case."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def named(word: str) -> Color:
    """Give the colour that a name or one of its synonyms stands for."""
    return Color(parse_hex(NAMED[SYNONYMS.get(word, word)]), word)


def distance(a: Rgb, b: Rgb) -> float:
    """Euclidean distance in RGB, 0..441."""
    return float(np.linalg.norm(np.subtract(a, b, dtype=np.float64)))


def sample(rng: random.Random, apart_from: tuple[Rgb, ...] = ()) -> Color:
    """Draw a named (30 %) or hex (70 %) colour that contrasts with the given ones."""
    while True:
        if rng.random() < 0.3:
            color = named(rng.choice([*NAMED, *SYNONYMS]))
        else:
            rgb = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
            color = Color(rgb, format_hex(rgb))
        if all(distance(color.rgb, other) > CONTRAST for other in apart_from):
            return color


def lab(rgb: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Convert sRGB bytes (..., 3) to CIE Lab under D65."""
    c = np.asarray(rgb, np.float64) / 255
    c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = c @ to_xyz.T / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def delta_e(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """CIE76 colour difference; 2.3 is about what an eye just notices."""
    return float(np.linalg.norm(lab(a) - lab(b)))
