"""What a job gave, as files that outlive it: those that its nodes wrote, and the outputs that nobody took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from limner.engine.context import Provenance
from limner.engine.plan import Step
from limner.engine.result import Result
from limner.engine.run import Run
from limner.engine.value import PLAIN_TYPES, Storable
from limner.nodes.pictures import Files, Image
from limner.nodes.save_image import SUFFIXES
from limner.server.jobs.blobs import Blobs
from limner.server.jobs.job import Artifact

MAX_TEXT: Final = 20_000
"""A longer text is known once the job has ended."""
_SHOWN: Final = (str, Image, Files)
VALUES_NAME: Final = "values.json"
"""Texts, numbers and truths that nodes gave: by node and port."""


class Gift(NamedTuple):
    """What a node gave that is shown at once."""

    artifacts: list[Artifact]
    texts: dict[str, str]
    """By port."""

    def as_data(self) -> dict[str, Any]:
        """As events tell it."""
        return {"artifacts": [asdict(artifact) for artifact in self.artifacts], "values": self.texts}


class Results:
    """Gathers the artifacts of one run. ``folder`` is where its nodes wrote; what is kept leaves it."""

    def __init__(self, blobs: Blobs, folder: Path, run: Run) -> None:
        self._blobs = blobs
        self._folder = folder
        self._run = run
        self._found: dict[str, Artifact] = {}
        self._awaited = [goal for goal in run.plan.goals if _is_shown(run.plan.steps[goal])]
        """Nodes that give what can be shown before the run ends, and have not yet."""
        self._early: dict[tuple[str, str], list[Artifact]] = {}
        """By node and port, what was kept before the run ended."""

    @property
    def early(self) -> list[Artifact]:
        """What was kept before the run ended."""
        return [artifact for found in self._early.values() for artifact in found]

    def give(self) -> dict[str, Gift]:
        """Keep the pictures of nodes that have ended, while others run. Gives, by node, what is new, texts too.

        Files stay where they are until the end: a later node may go on with them. Raises StoreError, once.
        """
        ended = {goal: ports for goal in self._awaited if (ports := self._run.outputs_of(goal)) is not None}
        if not ended:
            return {}
        self._awaited = [goal for goal in self._awaited if goal not in ended]
        named = ((self._run.plan.steps[goal].node.id, ports) for goal, ports in ended.items())
        return {node: gift for node, ports in named if any(gift := self._gift(node, ports))}

    def _gift(self, node: str, ports: Mapping[str, Any]) -> Gift:
        texts: dict[str, str] = {}
        for port, value in ports.items():
            if isinstance(value, str) and len(value) <= MAX_TEXT:
                texts[port] = value
            elif isinstance(value, Image):
                files = [
                    Artifact(name, self._blobs.put(content), len(content), node)
                    for name, content in self._pictures(node, _stem(node, port, ports), value)
                ]
                self._early[node, port] = files
            elif isinstance(value, Files):
                self._early[node, port] = [self._copy(path, node) for path in self._pictures_among(value)]
        return Gift([file for port in ports for file in self._early.get((node, port), ())], texts)

    def _pictures_among(self, files: Files) -> list[Path]:
        paths = [Path(path).resolve() for path in files.paths]
        return [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_relative_to(self._folder)]

    def _copy(self, file: Path, node: str) -> Artifact:
        content = file.read_bytes()
        return Artifact(file.relative_to(self._folder).as_posix(), self._blobs.put(content), len(content), node)

    def keep(self, result: Result) -> list[Artifact]:
        """Keep all that a run gave. Raises StoreError."""
        plain: dict[str, dict[str, Any]] = {}
        for node, ports in result.outputs.items():
            for port, value in ports.items():
                if isinstance(value, PLAIN_TYPES):
                    plain.setdefault(node, {})[port] = value
                else:
                    self._keep_value(node, port, _stem(node, port, ports), value)
        for file in _files_in(self._folder):  # what nodes wrote and did not speak of
            self._take(file, None)
        if plain:
            self._put(VALUES_NAME, _values_json(plain), None)
        return list(self._found.values())

    def _keep_value(self, node: str, port: str, stem: str, value: Any) -> None:
        if isinstance(value, Files):
            for path in map(Path, value.paths):
                for file in _files_in(path) if path.is_dir() else (path,):
                    self._take(file, node)
        elif isinstance(value, Image) and (node, port) in self._early:
            for artifact in self._early[node, port]:
                self._add(artifact.name, artifact.sha256, artifact.size_bytes, node)
        elif isinstance(value, Image):
            for name, content in self._pictures(node, stem, value):
                self._put(name, content, node)
        elif isinstance(value, Storable):
            self._put(f"{stem}{value.suffix}", value.to_bytes(), node)

    def _pictures(self, node: str, stem: str, image: Image) -> Iterator[tuple[str, bytes]]:
        from limner.nodes.provenance import encode_picture

        for number, pixels in enumerate(image.pixels, start=1):
            content, _ = encode_picture(pixels, ".png", 100, self._provenance(node, number))
            yield f"{stem}.png" if len(image.pixels) == 1 else f"{stem}-{number}.png", content

    def _provenance(self, node: str, number: int) -> Provenance:
        """What made a picture: the node, and the number that it has in its batch."""
        ids, common = self._run.provenance
        return replace(common, saved_by=ids[node], number=number)

    def _take(self, file: Path, node: str | None) -> None:
        """Move a file of the run's folder into the store. One elsewhere is not the job's to give away."""
        place = file.resolve()
        if file.is_symlink() or not place.is_relative_to(self._folder) or not place.is_file():
            return
        size_bytes = place.stat().st_size
        name = place.relative_to(self._folder).as_posix()
        self._add(name, self._blobs.take(place), size_bytes, node)

    def _put(self, name: str, content: bytes, node: str | None) -> None:
        self._add(name.replace("/", "-"), self._blobs.put(content), len(content), node)

    def _add(self, name: str, digest: str, size_bytes: int, node: str | None) -> None:
        path, number = Path(name), 2
        while name in self._found:
            name, number = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix(), number + 1
        self._found[name] = Artifact(name, digest, size_bytes, node)


def _is_shown(step: Step) -> bool:
    """Whether a node gives pictures or texts."""
    return any(issubclass(port.type, _SHOWN) or port.type is object for port in step.node.type.outputs)


def _stem(node: str, port: str, ports: Mapping[str, Any]) -> str:
    return (node if len(ports) == 1 else f"{node}.{port}").replace("/", "-")


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _values_json(plain: Mapping[str, Mapping[str, Any]]) -> bytes:
    """A value a line, by the separator: ``indent`` is slow where thousands of nodes give numbers."""
    return (json.dumps(plain, separators=(",\n ", ": "), sort_keys=True) + "\n").encode()
