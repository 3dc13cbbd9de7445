"""What a sweep goes through: the values that vary, the variants that they make, and a name for each."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from limner.engine.document import Document
from limner.engine.errors import Fault
from limner.engine.expand import targets_of

MAX_VARIANTS: Final = 1000
"""More are refused, where nobody says that they are meant."""
MAX_NAME_BYTES: Final = 150
"""Of what a variant adds to the name of a file: file systems take 255, and the name itself needs some."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies: a parameter, or a setting as ``node.setting``, and its values in order."""

    name: str
    values: tuple[Any, ...]

    def targets(self, document: Document) -> list[str]:
        """The settings that it stands for."""
        return targets_of(document.parameters.get(self.name, self.name))


def variants(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """The product of the values, the last axis varying fastest."""
    names = [axis.name for axis in axes]
    return (dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes)))


def axis_faults(
    axes: Sequence[Axis], document: Document, given: Sequence[str] = (), most: int = MAX_VARIANTS
) -> list[Fault]:
    """What is wrong with the axes beside each other: values and settings named twice, none or too many variants.

    ``given`` are the parameters and settings that the caller sets to one value.
    """
    faults = [fault for axis in axes for fault in _value_faults(axis)]
    owners: dict[str, str] = {}
    for name in given:
        owners.update(dict.fromkeys(Axis(name, ()).targets(document), "is set to one value"))
    for axis in axes:
        targets = axis.targets(document)
        if taken := [target for target in targets if target in owners]:
            message = f"--sweep {axis.name}: {taken[0]} {owners[taken[0]]} as well"
            faults.append(Fault(message, hint="leave one of them out"))
        owners.update(dict.fromkeys(targets, f"is swept by {axis.name}"))
    count = math.prod(len(axis.values) for axis in axes)
    if count > most:
        sizes = " x ".join(f"{len(axis.values):,} of {axis.name}" for axis in axes)
        hint = f"leave some out, or allow more with --max-variants {count}"
        faults.append(Fault(f"--sweep: {sizes} make {count:,} variants, and {most:,} are allowed", hint=hint))
    return faults


def _value_faults(axis: Axis) -> Iterator[Fault]:
    if not axis.values:
        yield Fault(f"--sweep {axis.name}: there are no values")
    for key, count in Counter(map(_identity, axis.values)).items():
        if count > 1:
            yield Fault(f"--sweep {axis.name}: {short(key)} stands there {count} times", hint="leave the others out")


def _identity(value: Any) -> str:
    """Equal for equal values: ``1`` and ``1.0`` are, ``1``, ``"1"`` and ``true`` are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=repr)


def written(value: Any) -> str:
    """A value as people write it: a text as it is, ``4`` for 4.0, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def label(values: Mapping[str, Any]) -> str:
    """A variant in one line: ``seed=5 guidance=2``."""
    return " ".join(f"{name}={short(value)}" for name, value in values.items())


def short(value: Any, most: int = 60) -> str:
    """A value in one line of so many characters."""
    line = " ".join(written(value).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def file_names(axes: Sequence[Axis], unnamed: Container[str] = ()) -> list[str]:
    """For each variant, in order, what a name of a file can hold, no two alike: ``seed=1-guidance=2``.

    Letters and digits of any script stay. Values that would be called the same get a part of their hash. Axes that
    are ``unnamed`` are left out: they make the names differ themselves.
    """
    share = MAX_NAME_BYTES // max(1, len(axes))
    parts = [
        [""] * len(axis.values) if axis.name in unnamed else [f"{name}={part}" for part in _value_names(axis, share)]
        for name, axis in zip(_axis_names(axes), axes, strict=True)
    ]
    return [_within("-".join(filter(None, chosen))) for chosen in itertools.product(*parts)]


def _axis_names(axes: Sequence[Axis]) -> list[str]:
    """``seed`` for ``denoise.seed``, where only one axis is called so."""
    last = [axis.name.rpartition(".")[2] for axis in axes]
    counts = Counter(last)
    return [_safe(name if counts[name] == 1 else axis.name, 40) for name, axis in zip(last, axes, strict=True)]


def _value_names(axis: Axis, most_bytes: int) -> list[str]:
    found = [_safe(written(value), most_bytes) for value in axis.values]
    counts = Counter(map(str.casefold, found))  # some file systems do not tell upper case from lower
    return [
        name if name and counts[name.casefold()] == 1 else f"{name}~{_digest(_identity(value))}"
        for name, value in zip(found, axis.values, strict=True)
    ]


def _safe(text: str, most_bytes: int) -> str:
    cut = re.sub(r"[^\w.+-]+", "_", text).strip("_.").encode("utf-8", "replace")[:most_bytes]
    return cut.decode("utf-8", "ignore").rstrip("_.")


def _within(name: str) -> str:
    """The name, or as much of it as file systems take, and its hash."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return name.encode()[: MAX_NAME_BYTES - 9].decode("utf-8", "ignore") + f"~{_digest(name)}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
