"""Making a picture again from what its file says: what has changed since, and how near the new one comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from limner.engine.context import Provenance
from limner.engine.errors import InputError
from limner.engine.flat import flat_ids
from limner.engine.plan import Plan
from limner.engine.provenance import provenance_of
from limner.session import Session
from limner.terminal import with_short_hashes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["source", "setting", "version", "device", "hardware"]

_WORDS: Final[dict[Kind, str]] = {
    "source": "another content than then",
    "setting": "another value than then",
    "version": "made with another version",
    "device": "made on another device",
    "hardware": "made on other hardware",
}


_NOT_READ: Final = "not read"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was when a picture was made."""

    kind: Kind
    what: str
    """A package, a device, nodes, ``node.setting``, or a node and what it reads."""
    then: str
    now: str

    def __str__(self) -> str:
        return f"{_WORDS[self.kind]}: {self.what}: {with_short_hashes(self.then)} -> {with_short_hashes(self.now)}"


def here(session: Session, plan: Plan) -> Provenance:
    """What a picture would say that a plan made here and now. Raises InputError where a file is gone."""
    return provenance_of(plan, session.executor.keys(plan), flat_ids(plan.graph), session.machine)


def changes(then: Provenance, now: Provenance) -> list[Change]:
    """What differs between the making of a picture and a run of its graph here.

    What one of the two does not know is no difference. Sources are compared by content, so that a model which lies
    elsewhere now, or was saved again with the same bytes, is the same; a file more or less of a pattern is not.
    """
    return [
        *_sources(then.sources, now.sources),
        *_settings(then.resolved, now.resolved),
        *_flat("version", then.software, now.software, absent="not installed"),
        *_devices(then.devices, now.devices),
        *_flat("hardware", then.hardware, now.hardware),
    ]


def _sources(then: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[Change]:
    for node, before in then.items():
        after = now.get(node, before)
        lost = {name: held for name, held in before.items() if name in after or held not in after.values()}
        found = {name: held for name, held in after.items() if name in before or held not in before.values()}
        for name in lost | found:
            old, new = before.get(name, _NOT_READ), after.get(name, _NOT_READ)
            if new != old:
                yield Change("source", f"{node}: {name}", old, new)


def _settings(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> Iterator[Change]:
    for node, before in then.items():
        for name, old in before.items():
            new = now.get(node, {}).get(name, old)
            if new != old:
                yield Change("setting", f"{node}.{name}", str(old), str(new))


def _flat(kind: Kind, then: Mapping[str, str], now: Mapping[str, str], absent: str = "") -> Iterator[Change]:
    for name, old in then.items():
        new = now.get(name, absent or old)
        if new != old:
            yield Change(kind, name, old, new)


def _devices(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    """One change for all nodes that moved the same way."""
    moved: dict[tuple[str, str], list[str]] = {}
    for node, old in then.items():
        if (new := now.get(node, old)) != old:
            moved.setdefault((old, new), []).append(node)
    for (old, new), nodes in moved.items():
        more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
        yield Change("device", ", ".join(nodes[:5]) + more, old, new)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A picture beside the nearest of those that its graph made again."""

    nearest: Path | None
    """None where no new picture has the same size."""
    largest_difference: int = 0
    """In steps of 0..255."""
    psnr_db: float = 0.0
    """Infinite for the same pixels."""
    differing: float = 0.0
    """The share of pixels that are not the same."""
    other_size: tuple[int, int] | None = None
    """Width and height of what was made, where nothing has the same size."""

    @property
    def is_same(self) -> bool:
        """Whether all pixels are."""
        return self.nearest is not None and not self.largest_difference


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB (H, W, 3). Raises InputError where it cannot be decoded."""
    import numpy as np
    import PIL.Image

    from limner.nodes._picture_header import why_broken

    try:
        with PIL.Image.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except Exception as error:  # Pillow raises whatever broken bytes lead to
        raise InputError(f"{path} is damaged{why_broken(error)}", hint="save or download it again") from error


def compare(wanted: NDArray[np.uint8], again: Sequence[Path]) -> Comparison:
    """The nearest of some pictures to the pixels of one, metadata aside; of JPEG and WebP as they are decoded here."""
    best = Comparison(None)
    for path in again:
        found = read_pixels(path)
        if best.nearest is None:
            best = replace(best, other_size=(found.shape[1], found.shape[0]))
        if found.shape == wanted.shape:
            other = _compared(wanted, found, path)
            if best.nearest is None or other.psnr_db > best.psnr_db:
                best = other
    return best


def _compared(wanted: NDArray[np.uint8], found: NDArray[np.uint8], path: Path) -> Comparison:
    import numpy as np

    from limner.nodes._likeness import psnr_db, squared_error

    difference = np.abs(found.astype(np.int16) - wanted)
    return Comparison(
        path,
        largest_difference=int(difference.max()),
        psnr_db=psnr_db(squared_error(wanted, found)),
        differing=float(difference.any(axis=2).mean()),
    )
